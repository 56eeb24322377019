-- The history: what was booked in each budget, day by day. The days of all time zones that have one number
-- are one hash; fields of another zone than UTC begin with its name. What calls are paid for is told by name:
-- "model|gpt-4o|usd". "history" lists the accounts that have days, with the number of the oldest.

local DAY = 86400000
local OTHER = 'other'
local spent_text, part, count_days, sums_of, expire_days -- what other files use
do
  local days = {}
  local listed = {} -- the number of the oldest day of an account, false for one that has none

  -- The number of the local day of a moment. A zone is a text of "name;ahead;moved;ahead": how many milliseconds
  -- it is ahead of UTC before and after its clocks are moved.
  local function local_day(zone, at)
    local tz, before, moved, after = string.match(zone, '^([^;]*);(-?%d+);(%d+);(-?%d+)$')
    local ahead = at < tonumber(moved) and before or after
    return tz, math.floor((at + tonumber(ahead)) / DAY)
  end

  local function day_of(key, date)
    local name = base .. 'd:' .. key .. ':' .. int(date)
    days[name] = days[name] or hash(name)
    return days[name]
  end

  function spent_text(account, unit)
    local spent = get(account, 's:' .. unit) or '0'
    return type(spent) == 'number' and int(spent) or spent
  end

  -- So much counts in the days of an account, and no more in what it has spent; or never did.
  function part(account, spent)
    for unit, name in ipairs(UNITS) do
      add(account, 'p:' .. name, spent[unit])
    end
  end

  local function oldest_of(key)
    if listed[key] == nil then
      local score = call('ZSCORE', base .. 'history', key)
      listed[key] = score and tonumber(score)
    end
    return listed[key]
  end

  local function list(key, date)
    listed[key] = date
    if date then
      write('ZADD', base .. 'history', int(date), key)
    else
      write('ZREM', base .. 'history', key)
    end
  end

  -- The account whose day it is: of those beyond the most in a tree all count in one.
  local function enrolled(account, date)
    local key, index = account.key, base .. 'history'
    local oldest = oldest_of(key)
    if not oldest and call('ZCARD', index) >= MOST_HISTORIES then
      key = string.match(key, '^[^/]*') .. '/*'
      oldest = oldest_of(key)
    elseif not oldest then
      for _, name in ipairs(UNITS) do
        put(account, 'p:' .. name, negative(spent_text(account, name)))
      end
    end
    if not oldest or oldest > date then
      list(key, date)
    end
    return key
  end

  -- Add to one day of an account: what is booked for something, and named counters.
  local function count_in(account, date, prefix, kind, name, spent, tally, counted)
    local day = day_of(account.key, date)
    local label = prefix .. kind .. '|' .. name
    local names = prefix .. '#' .. kind
    local fields = {names, label .. '|usd', label .. '|tokens', label .. '|calls'}
    for counter in pairs(tally) do
      fields[#fields + 1] = prefix .. counter
    end
    warm(day, fields)
    if not day.some and call('EXISTS', day.name) == 0 then
      local key = enrolled(account, date)
      if key ~= account.key then
        day = day_of(key, date)
        warm(day, fields)
      end
      day.some = true
    end
    if counted[day.name .. prefix] then -- by another account of the path that is beyond the most
      return
    end
    counted[day.name .. prefix] = true
    if spent then
      if not (get(day, fields[2]) or get(day, fields[3]) or get(day, fields[4])) then
        if number(day, names) >= MOST_NAMES then
          label = prefix .. kind .. '|' .. OTHER
        else
          add(day, names, '1')
        end
      end
      for unit, sum in ipairs(UNITS) do
        add(day, label .. '|' .. sum, spent[unit])
      end
    end
    for counter, amount in pairs(tally) do
      add(day, prefix .. counter, amount)
    end
  end

  -- Add to the days of each budget of a line: in UTC, and where the budget has another time zone in that, too.
  function count_days(line, subject, spent, tally, at, zone)
    local kind, tool, models = string.match(subject, '^([^;]*);[^;]*;([^;]*);([^,]*)')
    local name = kind == 'model' and models or tool
    local tz, date
    if zone ~= '' then
      tz, date = local_day(zone, at)
    end
    local counted = {}
    for _, account in ipairs(line) do
      if account.session then
        return
      end
      count_in(account, math.floor(at / DAY), '', kind, name, spent, tally, counted)
      if tz then
        count_in(account, date, tz .. '|', kind, name, spent, tally, counted)
      end
    end
  end

  -- The sums of one day in UTC, each as one text of a unit and an amount.
  function sums_of(key, date)
    local found = {}
    local values = call('HGETALL', base .. 'd:' .. key .. ':' .. int(date))
    for i = 1, #values, 2 do
      local unit = string.match(values[i], '^%a+|[^|]*|(%a+)$')
      if unit then
        found[#found + 1] = {unit, values[i + 1]}
      end
    end
    return found
  end

  -- Forget some of the days that are over; each account whose last one goes has none from then on.
  function expire_days(kept)
    local index, today = base .. 'history', math.floor(now / DAY)
    local due = call('ZRANGEBYSCORE', index, '-inf', int(today - kept), 'WITHSCORES', 'LIMIT', 0, RETIRED)
    for i = 1, #due, 2 do
      local key, date = due[i], tonumber(due[i + 1])
      local account = find(key)
      for _, sum in ipairs(sums_of(key, date)) do
        if account then
          add(account, 'p:' .. sum[1], negative(sum[2]))
        end
      end
      write('DEL', base .. 'd:' .. key .. ':' .. int(date))
      repeat
        date = date + 1
      until date > today + 1 or call('EXISTS', base .. 'd:' .. key .. ':' .. int(date)) == 1
      list(key, date <= today + 1 and date)
    end
    make()
  end
end

return DAY, OTHER, spent_text, part, count_days, sums_of, expire_days
