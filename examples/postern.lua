-- Asks Postern about a request; see haproxy.cfg, which says where Postern is. Needs nothing but HAProxy's own Lua.
--
-- The answer 200 sets the variable txn.postern to "allow". Any other answer, or none, ends the request here.

local function setting(name)
  return os.getenv(name) or error("postern.lua: `setenv " .. name .. "` is missing from the global section", 0)
end

local ADDRESS = setting("POSTERN_ADDRESS")
local MILLISECONDS = tonumber(setting("POSTERN_MILLISECONDS"))

-- The identity headers of the policy, in lower case.
local IDENTITY = { "remote-user", "remote-groups", "remote-email", "remote-name" }

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

-- Headers of one connection: neither asked with nor answered with.
local HOP = set_of({
  "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  "content-length", "expect",
})
-- Headers that HAProxy itself vouches for; the client's are not shown.
local OURS = set_of({
  "host", "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for",
})
-- A refusal names nobody.
local IDENTITY_SET = set_of(IDENTITY)

-- HAProxy's header tables count from 0.
local function list(values)
  local out = {}
  local i = 0
  while values and values[i] do
    out[#out + 1] = values[i]
    i = i + 1
  end
  return out
end

local function question(txn)
  local headers = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not HOP[name] and not OURS[name] then headers[name] = list(values) end
  end
  local host = txn.sf:req_fhdr("host")
  headers["host"] = { host }
  headers["x-forwarded-host"] = { host }
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-for"] = { txn.sf:src() }
  headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  return headers
end

local function finish(txn, status, headers, body)
  local reply = txn:reply({ status = status })
  for name, values in pairs(headers) do
    for _, value in ipairs(values) do reply:add_header(name, value) end
  end
  reply:set_body(body)
  txn:done(reply)
end

local function unavailable(txn)
  finish(txn, 503, { ["content-type"] = { "text/plain" }, ["cache-control"] = { "no-store" } },
    "authorization unavailable\n")
end

core.register_action("postern", { "http-req" }, function(txn)
  txn:set_var("txn.postern", "deny")

  local asked, answer = pcall(function()
    return core.httpclient():get({
      url = "http://postern/auth/haproxy",
      dst = ADDRESS,
      headers = question(txn),
      timeout = MILLISECONDS,
    })
  end)
  if not asked or not answer or not answer.status then return unavailable(txn) end

  if answer.status == 200 then
    for _, name in ipairs(IDENTITY) do
      local values = list(answer.headers[name])
      txn.http:req_del_header(name)
      if #values > 1 then return unavailable(txn) end
      if #values == 1 and values[1] ~= "" then txn.http:req_set_header(name, values[1]) end
    end
    txn:set_var("txn.postern", "allow")
    return
  end

  -- Postern refuses with 3xx and 4xx. 5xx is its "cannot say" and HAProxy's own word for "no answer".
  if answer.status < 300 or answer.status >= 500 then return unavailable(txn) end
  local headers = {}
  for name, values in pairs(answer.headers) do
    if not HOP[name] and not IDENTITY_SET[name] then headers[name] = list(values) end
  end
  finish(txn, answer.status, headers, answer.body or "")
end, 0)
