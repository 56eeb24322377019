-- Sessions that nobody uses any more. What they spent stays in the accounts above them.

-- Nothing is held, nobody has stopped it, and no session below it is left.
local function finished(account)
  for _, unit in ipairs(UNITS) do
    if number(account, 'r:' .. unit) ~= 0 then
      return false
    end
  end
  return not get(account, 'tripped') and number(account, 'below') == 0
end

local function forget(account)
  local by_call, by_time = calls_of({account = account})
  for _, name in ipairs({account.name, account.buckets.name, by_call, by_time}) do
    if call('EXISTS', name) == 1 then
      write('DEL', name)
    end
  end
  write('HDEL', base .. 'accounts', account.key)
  ledger.accounts = ledger.accounts - 1
  write('HSET', KEYS[1], 'accounts', int(ledger.accounts))
  write('ZREM', base .. 'sessions', account.key)
  local above = session_above(account.key)
  if above then
    add(above, 'below', '-1')
  end
  accounts[account.key] = nil
end

local function retire()
  local over = int(now - SESSION_KEPT_MS)
  for _, key in ipairs(call('ZRANGEBYSCORE', base .. 'sessions', '-inf', over, 'LIMIT', 0, RETIRED)) do
    local account = find(key)
    if not account then
      write('ZREM', base .. 'sessions', key)
    elseif finished(account) then
      forget(account)
    else
      use(account)
    end
  end
end
