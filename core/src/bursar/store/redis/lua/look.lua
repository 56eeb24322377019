-- What is read only: the accounts of a tree, and what its records add up to.

-- The fields of accounts, those that there are, after what is told already.
local function show(answer, keys)
  for _, key in ipairs(keys) do
    local account = find(key)
    if account then
      whole(account)
      for _, slot in ipairs(slots(account)) do
        local limit = slot.effective
        if limit and limit.span > 0 then
          local name = 'w:' .. limit.key
          roll(account, name, limit.span)
          local spent = number(account, name .. ':spent')
          local at = spent > 0 and frees(account, name, limit.span, spent)
          account.seen[name .. ':frees'] = at or false
        end
      end
      account.seen.sessions = call('ZCARD', below(key))
      local fields = {}
      for field, value in pairs(account.seen) do
        if value then
          fields[#fields + 1] = field
          fields[#fields + 1] = type(value) == 'number' and int(value) or value
        end
      end
      concat(answer, {key, int(#fields / 2)})
      concat(answer, fields)
    end
  end
  return answer
end

-- The accounts that are named; and the budgets below one, where there is one.
local function read()
  local keys, top = take_list(), take()
  if top ~= '' then
    concat(keys, call('ZRANGEBYLEX', base .. 'budgets', '[' .. top .. '/', '(' .. top .. '0'))
  end
  return show({'accounts'}, keys)
end

-- Some sessions right below an account, the newest first, with the accounts above them.
local function sessions()
  local key, after, limit = take(), take(), tonumber(take())
  local newest = after == '' and '+inf' or '(' .. after
  local found = call('ZREVRANGEBYSCORE', below(key), newest, '-inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
  local keys = path_of(key)
  for i = 1, math.min(#found, 2 * limit), 2 do
    keys[#keys + 1] = found[i]
  end
  local more = #found > 2 * limit and int(found[2 * limit]) or ''
  return show({'sessions', more, int(call('ZCARD', below(key)))}, keys)
end

-- Some open holds, by the end of their leases: those at the moment of the last one come by their ids.
local function holds()
  local from, id, limit = take(), take(), tonumber(take())
  local answer, offset, last = {'holds'}, 0, ''
  while #answer < 5 * limit + 2 do
    local found = call('ZRANGEBYSCORE', base .. 'leases', from, '+inf', 'WITHSCORES', 'LIMIT', offset, limit + 1)
    for i = 1, #found, 2 do
      local h = (int(found[i + 1]) ~= from or found[i] > id) and record_of(found[i])
      if h and h.seen.state == 'reserved' then
        if #answer == 5 * limit + 1 then
          return concat(answer, {last})
        end
        last = int(found[i + 1]) .. ' ' .. found[i]
        concat(answer, {found[i], h.seen.leaf, h.seen.subject, h.seen.held, int(found[i + 1])})
      end
    end
    offset = offset + limit + 1
    if #found <= 2 * limit then
      return concat(answer, {''})
    end
  end
end

-- What an audit compares of each account. It reads no more than that, and nothing twice: others wait for it.
local AUDITED = {
  'born', 'epoch', 's:usd', 's:tokens', 's:calls', 'r:usd', 'r:tokens', 'r:calls', 'f:usd', 'f:tokens', 'f:calls',
  'p:usd', 'p:tokens', 'p:calls',
}

local function balances(answer)
  for _, key in ipairs(call('HKEYS', base .. 'accounts')) do
    local values = call('HMGET', base .. 'a:' .. key, unpack(AUDITED))
    if not values[1] then
      stop('rolled_back', 'an account is gone')
    end
    for i = 3, #AUDITED do
      values[i] = values[i] or '0'
    end
    answer[#answer + 1] = key .. '\n' .. table.concat(values, '\n')
  end
end

-- Sums of records that count in the same accounts; a new line before a sum is too large to be exact.
local function audit()
  local answer, groups = {'accounts'}, {}
  balances(answer)
  answer[#answer + 1] = 'records'
  for _, list in ipairs({'leases', 'final'}) do
    for _, id in ipairs(call('ZRANGE', base .. list, 0, -1)) do
      local leaf, epochs, state, held, booked =
        unpack(call('HMGET', base .. 'r:' .. id, 'leaf', 'epochs', 'state', 'held', 'booked'))
      if leaf and leaf ~= '' then
        local open_still = state == 'reserved'
        local name = leaf .. '\n' .. epochs .. '\n' .. flag(open_still)
        local sums = groups[name] or {0, 0, 0}
        local unit = 0
        for amount in string.gmatch(open_still and held or booked, '[^,]+') do
          unit = unit + 1
          amount = tonumber(amount)
          if math.abs(sums[unit] + amount) > MOST_AMOUNT then
            concat(answer, {name, int(sums[1]), int(sums[2]), int(sums[3])})
            sums = {0, 0, 0}
          end
          sums[unit] = sums[unit] + amount
        end
        groups[name] = sums
      end
    end
  end
  for name, sums in pairs(groups) do
    concat(answer, {name, int(sums[1]), int(sums[2]), int(sums[3])})
  end
  answer[#answer + 1] = 'days'
  return audit_days(answer)
end

return {
  migrate = migrate,
  orders = {
    set_limit = set_limit, drop_limit = drop_limit, trip = trip, untrip = untrip, reset = reset,
    ['end'] = finish_all, acknowledge = acknowledge,
  },
  reads = {read = read, sessions = sessions, holds = holds, history = history, audit = audit},
}
