-- Sessions that nobody uses any more. What they spent stays in the accounts above them.

-- Something is held there, or somebody has stopped it.
local function needed(account)
  for _, unit in ipairs(UNITS) do
    if number(account, 'r:' .. unit) ~= 0 then
      return true
    end
  end
  return get(account, 'tripped')
end

local gone = {} -- in this step, whose writes are not made yet

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
  write('ZREM', base .. 'ended', account.key)
  write('ZREM', below(above(account.key)), account.key)
  accounts[account.key], gone[account.key] = nil, true
end

-- Drop a session that has ended with some of those below it; false where it is still needed.
local function discard(account, ended)
  local inner = call('ZCARD', below(account.key))
  if needed(account) or (inner > 0 and not ended) then
    return false
  end
  for _, key in ipairs(inner > 0 and call('ZRANGE', below(account.key), 0, RETIRED - 1) or {}) do
    if not gone[key] and not discard(find(key), true) then
      return false
    end
    inner = gone[key] and inner - 1 or inner
  end
  if inner == 0 then
    forget(account)
  end
  return true
end

local function retire_from(list, over)
  for _, key in ipairs(call('ZRANGEBYSCORE', base .. list, '-inf', int(over), 'LIMIT', 0, RETIRED)) do
    local account = not gone[key] and find(key)
    if account and not discard(account, get(account, 'ended')) then
      if list == 'ended' then
        finish(account)
      else
        use(account)
      end
    end
  end
end

local function retire()
  retire_from('sessions', now - SESSION_KEPT_MS)
  retire_from('ended', now - ENDED_KEPT_MS)
end

return retire
