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

local function migrate()
  list_accounts()
  ledger.layout = LAYOUT
  write('HSET', KEYS[1], 'layout', int(LAYOUT))
end
