-- What a hurried user writes: every header of the client and five of our own; 200 is a yes.
local address = os.getenv("POSTERN")

core.register_action("postern", { "http-req" }, function(txn)
  local headers = txn.http:req_get_headers()
  for name, values in pairs(headers) do
    local copy = {}
    for i = 0, #values do copy[#copy + 1] = values[i] end
    headers[name] = copy
  end
  headers["content-length"] = nil
  headers["transfer-encoding"] = nil
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-proto"] = { "http" }
  headers["x-forwarded-host"] = headers["host"] or { "" }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-for"] = { txn.sf:src() }
  local answer = core.httpclient():get({ url = "http://postern/auth/haproxy", dst = address, headers = headers, timeout = 5000 })
  if answer.status ~= 200 then
    local reply = txn:reply({ status = answer.status, body = answer.body })
    for name, values in pairs(answer.headers) do
      if name ~= "content-length" and name ~= "connection" then
        for i = 0, #values do reply:add_header(name, values[i]) end
      end
    end
    txn:done(reply)
    return
  end
  for _, name in ipairs({ "remote-user", "remote-groups", "remote-email", "remote-name" }) do
    local values = answer.headers[name]
    txn.http:req_del_header(name)
    if values then txn.http:req_set_header(name, values[0]) end
  end
  txn:set_var("txn.allowed", true)
end, 0)
