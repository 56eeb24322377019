-- A ledger of an older layout becomes one of this, in one step. It may be done again, with the same result.

-- From 1: the budgets, and the sessions right below each account, are listed.
local function list_accounts()
  for _, key in ipairs(call('HKEYS', base .. 'accounts')) do
    local name = base .. 'a:' .. key
    local born = call('HGET', name, 'born')
    if born and (string.find(key, '^@') or string.find(key, '/@[^/]*$')) then
      write('ZADD', below(above(key)), born, key)
    elseif born then
      write('ZADD', base .. 'budgets', 0, key)
    end
    write('HDEL', name, 'below')
  end
end

-- From 2: the history begins.
local function begin_history()
  ledger.since = math.floor(now / DAY)
  write('HSET', KEYS[1], 'since', int(ledger.since))
end

local function migrate()
  if ledger.layout < 2 then
    list_accounts()
  end
  begin_history()
  ledger.layout = LAYOUT
  write('HSET', KEYS[1], 'layout', int(LAYOUT))
end
