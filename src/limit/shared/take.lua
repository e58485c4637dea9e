-- Take from all of these budgets, or from none of those that bind.
--
-- KEYS: budgets. Each holds the moment at which it is full again, in microseconds since 1970 by this server's clock,
-- and is gone from then on.
-- ARGV: for each of them its price, its capacity (both in microseconds), the number of its limit, and 1 where that
-- only counts.
-- Answers, for each: the microseconds until it is full, and those until it has enough (0: it had).

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Some at a time: there are no more than 8000 values to a call, and a caller may have many groups.
local held = {}
for first = 1, #KEYS, 1000 do
  local part = redis.call('MGET', unpack(KEYS, first, math.min(first + 999, #KEYS)))
  for number = 1, #part do
    held[first + number - 1] = part[number]
  end
end
local debts, waits, whole, admitted = {}, {}, {}, true

local function keep(number, debt)
  redis.call('SET', KEYS[number], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000) + 1)
end

for number = 1, #KEYS do
  local price, capacity = tonumber(ARGV[4 * number - 3]), tonumber(ARGV[4 * number - 2])
  local limit, counts_only = ARGV[4 * number - 1], ARGV[4 * number] == '1'
  local debt = math.max((tonumber(held[number] or 0) or 0) - now, 0)
  if debt > capacity then
    -- The clock was put back. Nothing is ever more than empty, so nobody waits longer than one refill.
    debt = capacity
    keep(number, debt)
  end
  local over = debt + price - capacity
  debts[number], waits[number] = debt, math.max(over, 0)
  if over > 0 then
    whole[limit] = false
    admitted = admitted and counts_only
  end
end

local answer = {}
for number = 1, #KEYS do
  local limit, counts_only = ARGV[4 * number - 1], ARGV[4 * number] == '1'
  if admitted and waits[number] == 0 and not (counts_only and whole[limit] == false) then
    debts[number] = debts[number] + tonumber(ARGV[4 * number - 3])
    keep(number, debts[number])
  end
  answer[2 * number - 1], answer[2 * number] = debts[number], waits[number]
end
return answer
