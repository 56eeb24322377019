-- What came due first, on its own; then the verb.

local VERBS = {
  reserve = reserve,
  settle = function() return conclude('settled') end,
  book = function() return conclude('settled', true) end,
  doubt = function() return conclude('in_doubt') end,
  release = release, withdraw = withdraw, extend = extend,
  claim = alerts.claim, delivered = alerts.delivered,
}
local READS = {probe = function() return reserve(true) end, alerts = alerts.page}

local function run()
  check_layout()
  if verb == 'acknowledge' then
    return seldom().orders.acknowledge(), true
  end
  check_ledger()
  local said = call('HGET', base .. 'answers', nonce)
  if said then
    return said
  end
  if meta[1] then
    if ledger.layout < LAYOUT then
      seldom().migrate()
      make()
    end
    sweep()
    fold()
    retire()
    make()
  end
  local act, look = VERBS[verb], READS[verb]
  if not act and not look then
    local others = seldom()
    act, look = others.orders[verb], others.reads[verb]
  end
  if look then
    return look()
  end
  local answer, wrote = act(), #writes > 0
  return answer, wrote
end

local sound, answer, wrote = pcall(run)
if not sound then
  if type(answer) ~= 'table' or answer.err then
    error(answer)
  end
elseif type(answer) == 'string' then
  return answer
end
local made, made_by = int(wrote and step or ledger.seq), wrote and nonce or ledger.nonce
local head = {(meta[1] or wrote) and ledger.id or '', made, int(ledger.ack), made_by, int(now)}
local text = table.concat(concat(head, answer), '\n')
if wrote then
  keep_answer(nonce, text)
  make()
end
return text
