-- What people order: limits, the kill switch, a new epoch, a loss of data that they accept.

local function administer(what)
  local line = open()
  local account, detail = line[#line], take()
  log(account.key, what, detail)
  return account, detail
end

local function set_limit()
  local account, text = administer('set_limit')
  local limit = parse_limit(text)
  local slot = slot_of(account, limit.key)
  keep_limit(account, limit.key, slot and slot.declared, limit)
  return {'done'}
end

local function drop_limit()
  local account, text = administer('drop_limit')
  local key = parse_limit(text).key
  local slot = slot_of(account, key)
  keep_limit(account, key, slot and slot.declared, nil)
  return {'done'}
end

local function trip()
  local account, reason = administer('trip')
  put(account, 'tripped', reason)
  return {'done'}
end

local function untrip()
  local account = administer('untrip')
  drop(account, 'tripped')
  close_fuse(account)
  forget_calls({account = account})
  return {'done'}
end

local function reset()
  local account = administer('reset')
  part(account, {spent_text(account, 'usd'), spent_text(account, 'tokens'), spent_text(account, 'calls')})
  put(account, 'epoch', int(step))
  for field in pairs(whole(account)) do
    if string.find(field, '^[sSftm]:') then
      drop(account, field)
    elseif string.find(field, '^[wv]:.*:spent$') then
      put(account, field, '0')
    end
  end
  write('DEL', account.buckets.name)
  close_fuse(account)
  forget_calls({account = account})
  return {'done'}
end

local function finish_all()
  for _, key in ipairs(take_list()) do
    local account = find(key)
    if account and account.session then
      finish(account)
    end
  end
  return {'done'}
end

-- The balances hold from here; other clients see that the loss was accepted after what they know.
local function acknowledge()
  local id, listed = pinned, call('HKEYS', base .. 'accounts')
  for _, known in ipairs({seen.id, ledger.id, proposed}) do
    id = id ~= '' and id or known
  end
  local live = #listed
  for _, key in ipairs(listed) do
    if call('EXISTS', base .. 'a:' .. key) == 0 then
      write('HDEL', base .. 'accounts', key)
      live = live - 1
    end
  end
  step = math.max(ledger.seq, seen.seq) + 1
  ledger.id, ledger.ack = id, math.max(ledger.ack + 1, seen.ack + 1, now)
  write('HSET', KEYS[1], 'id', id, 'ack', int(ledger.ack), 'accounts', int(live))
  list_accounts() -- what lists them may be lost as well
  list_days(listed)
  if ledger.layout < LAYOUT then
    migrate()
  end
  log('-', 'acknowledge', take())
  return {'done'}
end
