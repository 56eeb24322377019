-- Accounts: hashes of which this step sees its own changes.

local accounts = {}

local function hash(name)
  return {name = name, seen = {}}
end

local function get(h, field)
  local value = h.seen[field]
  if value == nil then
    value = call('HGET', h.name, field)
    h.seen[field] = value -- false where there is none
  end
  return value
end

local function number(h, field)
  return tonumber(get(h, field) or 0)
end

-- Read some fields at once, those that this step has not seen.
local function warm(h, fields)
  local missing = {}
  for _, field in ipairs(fields) do
    if h.seen[field] == nil then
      missing[#missing + 1] = field
    end
  end
  for i, value in ipairs(#missing > 0 and call('HMGET', h.name, unpack(missing)) or {}) do
    h.seen[missing[i]] = value
    h.some = h.some or value
  end
end

-- What is put right after something else of the same hash becomes one write with that.
local function put(h, field, value)
  h.seen[field] = value
  local last = writes[#writes]
  if last and last[1] == 'HSET' and last[2] == h.name then
    last[#last + 1], last[#last + 2] = field, value
  else
    write('HSET', h.name, field, value)
  end
end

local function drop(h, field)
  if get(h, field) then
    h.seen[field] = false
    write('HDEL', h.name, field)
  end
end

local function add(h, field, text)
  if text ~= '0' then
    local sum = number(h, field) + tonumber(text)
    if math.abs(sum) > MOST_BALANCE then
      stop('overflow')
    end
    h.seen[field] = sum
    write('HINCRBY', h.name, field, text)
  end
end

-- Every field, as this step leaves it.
local function whole(h)
  if not h.whole then
    local found = call('HGETALL', h.name)
    for i = 1, #found, 2 do
      if h.seen[found[i]] == nil then
        h.seen[found[i]] = found[i + 1]
      end
    end
    h.whole = true
  end
  return h.seen
end

local BASE = {
  'born', 'epoch', 'limits', 'tripped', 'trip', 'used', 'ended',
  's:usd', 's:tokens', 's:calls', 'r:usd', 'r:tokens', 'r:calls',
}

-- The account, or nil where there never was one.
local function find(key)
  local account = accounts[key]
  if account == nil then
    account = hash(base .. 'a:' .. key)
    account.key = key
    account.session = string.find(key, '^@') or string.find(key, '/@[^/]*$')
    account.buckets = hash(base .. 'b:' .. key)
    local values = call('HMGET', account.name, unpack(BASE))
    for i, field in ipairs(BASE) do
      account.seen[field] = values[i]
    end
    if not values[1] then
      if call('HEXISTS', base .. 'accounts', key) == 1 then
        stop('rolled_back', 'an account is gone')
      end
      account.missing = true
    end
    accounts[key] = account
  end
  return not account.missing and account or nil
end

local function above(key)
  return string.match(key, '^(.*)/[^/]*$')
end

-- The sessions right below an account, by the step that made them.
local function below(key)
  return base .. 'n:' .. key
end

-- A session is in use: it is not dropped for a while.
local function use(account)
  put(account, 'used', int(now))
  write('ZADD', base .. 'sessions', int(now), account.key)
end

-- A session has ended, and nobody can name it again.
local function finish(account)
  put(account, 'ended', int(now))
  write('ZADD', base .. 'ended', int(now), account.key)
end

-- Or somebody has used it since.
local function resume(account)
  if get(account, 'ended') then
    drop(account, 'ended')
    write('ZREM', base .. 'ended', account.key)
  end
end

local function create(key)
  local account = accounts[key]
  account.missing = nil
  write('HSET', base .. 'accounts', key, int(now))
  ledger.accounts = ledger.accounts + 1
  write('HSET', KEYS[1], 'accounts', int(ledger.accounts))
  put(account, 'born', int(step))
  put(account, 'epoch', '0')
  put(account, 'opened', int(now))
  if account.session then
    write('ZADD', below(above(key)), int(step), key)
  else
    write('ZADD', base .. 'budgets', 0, key)
  end
  return account
end

-- Which life of the account, and which part of it: a hold from another one does not count in it.
local function epoch(account)
  return get(account, 'born') .. '.' .. get(account, 'epoch')
end

local function log(key, what, detail)
  write('RPUSH', base .. 'journal', int(now) .. ' ' .. key .. ' ' .. what .. ' ' .. detail)
  write('LTRIM', base .. 'journal', -1000, -1)
end

-- The keys from the root to a leaf.
local function path_of(leaf)
  local keys, at = {}, string.find(leaf, '/', 1, true)
  while at do
    keys[#keys + 1] = string.sub(leaf, 1, at - 1)
    at = string.find(leaf, '/', at + 1, true)
  end
  keys[#keys + 1] = leaf
  return keys
end

return accounts, hash, get, number, warm, put, drop, add, whole, find, above, below, use, finish, resume, create,
  epoch, log, path_of
