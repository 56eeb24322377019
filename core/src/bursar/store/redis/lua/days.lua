-- What is read of the history, and made good in it after a loss of data.

local MOST_LISTED = 400 -- days that are looked for after a loss

-- What was booked on the days of some accounts: today, so many days back, and tomorrow where it has begun.
local function history()
  local keys, back, today = take_list(), tonumber(take()), math.floor(now / DAY)
  local root = #keys > 0 and find(string.match(keys[1], '^[^/]*'))
  local since = root and math.floor(number(root, 'opened') / DAY) or today
  local answer = {'history', int(math.max(since, ledger.since))}
  for _, key in ipairs(keys) do
    for date = today - back, today + 1 do
      local values = call('HGETALL', base .. 'd:' .. key .. ':' .. int(date))
      if #values > 0 then
        concat(answer, {key, int(date), int(#values / 2)})
        concat(answer, values)
      end
    end
  end
  return answer
end

-- The sums of all days of each account, for an audit; a new line before one is too large to be exact.
local function audit_days(answer)
  local listed = call('ZRANGE', base .. 'history', 0, -1, 'WITHSCORES')
  for i = 1, #listed, 2 do
    local sums = {usd = 0, tokens = 0, calls = 0}
    local function tell()
      concat(answer, {listed[i], int(sums.usd), int(sums.tokens), int(sums.calls)})
    end
    for date = tonumber(listed[i + 1]), math.floor(now / DAY) + 1 do
      for _, sum in ipairs(sums_of(listed[i], date)) do
        local unit, amount = sum[1], tonumber(sum[2])
        if math.abs(sums[unit] + amount) > MOST_AMOUNT then
          tell()
          sums = {usd = 0, tokens = 0, calls = 0}
        end
        sums[unit] = sums[unit] + amount
      end
    end
    tell()
  end
  return answer
end

-- After a loss of data: list the accounts that have days, and take what these have for right.
local function list_days(keys)
  local index, today = base .. 'history', math.floor(now / DAY)
  for _, key in ipairs(keys) do
    local account = not string.find(key, '@', 1, true) and call('EXISTS', base .. 'a:' .. key) == 1 and find(key)
    local oldest
    local sums = {usd = 0, tokens = 0, calls = 0}
    for date = account and today - MOST_LISTED or today + 2, today + 1 do
      for _, sum in ipairs(sums_of(key, date)) do
        oldest = oldest or date
        sums[sum[1]] = sums[sum[1]] + tonumber(sum[2])
      end
    end
    if oldest then
      write('ZADD', index, int(oldest), key)
      for _, unit in ipairs(UNITS) do
        put(account, 'p:' .. unit, int(sums[unit] - number(account, 's:' .. unit)))
      end
    else
      write('ZREM', index, key)
    end
  end
end
