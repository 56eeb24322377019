-- The limits in force on a path, and what they say to a call.

-- The accounts of a path, created where new, with what their owners declare.
local function open()
  local line = {}
  for place, key in ipairs(path) do
    local account, declared, otherwise = find(key), take_list(), take_list()
    if not account then
      account = create(key)
      for _, text in ipairs(#declared == 0 and otherwise or {}) do
        local limit = parse_limit(text)
        keep_limit(account, limit.key, nil, limit)
      end
    end
    if #declared > 0 then
      declare(account, declared)
    end
    if account.session and not (get(account, 'used') and now - number(account, 'used') <= USED_MS) then
      use(account)
    end
    if account.session then
      resume(account)
    end
    line[place] = account
  end
  return line
end

local function rule(account, limit, place)
  local plain = limit.unit ~= 'calls' and limit.model == '' and limit.tool == '' and limit.provider == ''
  return {
    account = account, limit = limit, place = place, plain = plain,
    name = 'w:' .. limit.key, windowed = limit.span > 0 or limit.tz ~= '',
    own = plain and account.session and limit.window == 'session' and limit.unit == 'usd',
  }
end

-- The leaf's first. A limit of a budget over the window "session" holds for each session right below it.
local function in_force(line)
  local found, for_sessions = {}, {}
  for place, account in ipairs(line) do
    for _, slot in ipairs(slots(account)) do
      if slot.effective and slot.effective.window == 'session' and not account.session then
        for_sessions[#for_sessions + 1] = slot.effective
      elseif slot.effective then
        table.insert(found, 1, rule(account, slot.effective, place))
      end
    end
    if account.session then
      for _, limit in ipairs(for_sessions) do
        table.insert(found, 1, rule(account, limit, place))
      end
      for_sessions = {}
    end
  end
  return found
end

-- Bring the windows to now; a calendar period that is over needs the client's next one.
local function refresh(rules, periods)
  local zones, named = {}, {}
  for _, r in ipairs(rules) do
    if r.limit.span > 0 then
      roll(r.account, r.name, r.limit.span)
    elseif r.windowed and now >= number(r.account, r.name .. ':end') then
      local period = (periods[r.limit.tz] or {})[r.limit.window]
      if period and period[1] <= now and now < period[2] then
        begin_window(r.account, r.name, 0)
        put(r.account, r.name .. ':start', int(period[1]))
        put(r.account, r.name .. ':end', int(period[2]))
      elseif not named[r.limit.tz] then
        named[r.limit.tz] = true
        zones[#zones + 1] = r.limit.tz
      end
    end
  end
  return zones
end

local function take_periods()
  local periods = {}
  for _, text in ipairs(take_list()) do
    local tz, bounds = string.match(text, '^([^;]*);(.*)$')
    bounds = split(bounds, ',')
    periods[tz] = {}
    for i, window in ipairs({'hour', 'day', 'week', 'month'}) do
      periods[tz][window] = {tonumber(bounds[2 * i - 1]), tonumber(bounds[2 * i])}
    end
  end
  return periods
end

-- Spent and reserved of what a limit counts.
local function used(r)
  local account, unit = r.account, r.limit.unit
  if r.windowed then
    return number(account, r.name .. ':spent'), number(account, r.name .. ':reserved')
  end
  if r.plain then
    return number(account, 's:' .. unit), number(account, 'r:' .. unit)
  end
  local spent, reserved = 0, 0
  for field, value in pairs(whole(account)) do
    local which, counted, subject = string.match(field, '^([SR]):(%a+):(.*)$')
    if which and value and counted == unit and covers(r.limit, parse_subject(subject)) then
      if which == 'S' then
        spent = spent + tonumber(value)
      else
        reserved = reserved + tonumber(value)
      end
    end
  end
  return spent, reserved
end

local function counts(r, subject)
  return r.plain or covers(r.limit, subject)
end

-- True the first time in a period of the limit; for a rolling one, once in its length.
local function tell(r, fraction)
  local field = 'm:' .. r.limit.key .. ':' .. fraction
  local amount, since = string.match(get(r.account, field) or '', '^(%d+),(%d+)$')
  local at = 0
  if r.limit.span > 0 then
    at = now
  elseif r.windowed then
    at = number(r.account, r.name .. ':start')
  end
  local length = r.limit.span > 0 and r.limit.span or 1
  if tonumber(amount) == r.limit.amount and at - since < length then
    return false
  end
  put(r.account, field, int(r.limit.amount) .. ',' .. int(at))
  return true
end

local function flag(truth)
  return truth and '1' or '0'
end

-- The lines of a refusal, as clients read them.
local function refusal(account, cause, more)
  return {
    account.key, cause, more.limit and more.limit.text or '', int(more.spent or 0), int(more.reserved or 0),
    more.tripped and '=' .. more.tripped or '', more.wait and int(more.wait) or '', int(more.kept or 0),
    flag(more.first), int(more.times or 0), more.reason and '=' .. more.reason or '',
  }
end

-- Milliseconds until a window has room again; nil where time alone does not help.
local function wait_for(r, missing, least)
  local at
  if least > r.limit.amount then
    return nil
  elseif r.limit.span > 0 then
    at = frees(r.account, r.name, r.limit.span, missing)
  elseif r.windowed then
    at = number(r.account, r.name .. ':end')
  end
  return at and at - now
end

-- The part of a session's own limit that only its finalization may spend.
local function kept_of(r, terms)
  if not r.own or terms.finalizing then
    return 0
  end
  local millions = math.floor(r.limit.amount / 1000000)
  local rest = r.limit.amount - millions * 1000000
  return terms.kept + millions * terms.kept_ppm + math.floor(rest * terms.kept_ppm / 1000000)
end

-- The most that one call may hold of what a limit has left, unless its floor is more.
local function share_of(room, reserved, terms)
  local shared = reserved > 0 or terms.others_wait
  local ppm = shared and terms.share or math.max(terms.share, 500000)
  local millions = math.floor(room / 1000000)
  return millions * ppm + math.floor((room - millions * 1000000) * ppm / 1000000)
end

-- What one limit grants; or why it does not: its money is spent, is only held, or is held for the last time.
local function part_of(unit, unspent, reserved, entry, terms)
  local want, least = tonumber(entry.amounts[unit]), tonumber(entry.least[unit])
  if unspent < least then
    return nil, 'spent'
  end
  local room, useful = unspent - reserved, math.max(tonumber(entry.floor[unit]), least)
  if reserved > 0 and room < useful and room < unspent then
    if entry.ask ~= 'last' then
      return nil, 'held'
    elseif room < least then
      return nil, 'too little'
    end
  end
  return math.min(want, room, math.max(share_of(room, reserved, terms), useful))
end

-- What all limits grant, the velocity of a breaker among them; else what refuses, else what is held. Money
-- that is spent refuses before money that is only held does. The first limit is told, with the time after
-- which all of those have room.
local function grant(rules, entry, terms, speed)
  local granted, held = {unpack(entry.amounts)}, {}
  local first, told, by_holds, wait = nil, nil, nil, 0
  local function weigh(account, limit, spent, reserved, kept, cause)
    local unit = PLACE[limit.unit]
    local part, why = part_of(unit, limit.amount - spent - kept, reserved, entry, terms)
    if part and part < tonumber(granted[unit]) then
      granted[unit] = int(part)
    elseif why == 'held' then
      for _, word in ipairs({account.key, limit.text, int(spent), int(reserved), int(kept)}) do
        held[#held + 1] = word
      end
    elseif why == 'too little' and not by_holds then
      by_holds = refusal(account, cause, {limit = limit, spent = spent, reserved = reserved, kept = kept})
    end
    return why == 'spent'
  end
  for _, r in ipairs(rules) do
    if counts(r, entry.subject) then
      local spent, reserved = used(r)
      local kept = kept_of(r, terms)
      if weigh(r.account, r.limit, spent, reserved, kept, 'limit') then
        local least = tonumber(entry.least[PLACE[r.limit.unit]])
        local longer = wait_for(r, least - r.limit.amount + spent + reserved + kept, least)
        wait = wait and longer and math.max(wait, longer)
        if not first then
          first = {limit = r.limit, spent = spent, reserved = reserved, kept = kept, first = tell(r, 'hard')}
          told = r.account
        end
      end
    end
  end
  if first then
    first.wait = wait
    return nil, refusal(told, 'limit', first)
  end
  if speed then
    local spent, reserved = speed.spent, speed.reserved
    if weigh(speed.account, speed.limit, spent, reserved, 0, 'velocity') then
      return nil, speed.too_fast(spent, reserved)
    end
  end
  if by_holds then
    return nil, by_holds
  end
  if #held > 0 then
    return nil, nil, held
  end
  return granted
end

-- The first limit of a call that is exceeded now.
local function exceeded(rules, entry)
  for _, r in ipairs(rules) do
    if counts(r, entry.subject) then
      local spent, reserved = used(r)
      if spent + reserved > r.limit.amount then
        return refusal(r.account, 'limit', {
          limit = r.limit, spent = spent, reserved = reserved,
          first = spent > r.limit.amount and tell(r, 'hard'),
        })
      end
    end
  end
end

-- The fractions of the limits of a call that are reached, and were not told in this period.
local function marks(rules, entry, terms)
  local told = {}
  for _, r in ipairs(rules) do
    if #terms.soft > 0 and r.limit.amount > 0 and counts(r, entry.subject) then
      local spent = used(r)
      for _, ppm in ipairs(terms.soft) do
        if spent * 1000000 >= r.limit.amount * ppm and tell(r, ppm) then
          told[#told + 1] = r.account.key
          told[#told + 1] = r.limit.text
          told[#told + 1] = ppm
          told[#told + 1] = int(spent)
        end
      end
    end
  end
  return told
end

return open, in_force, refresh, take_periods, counts, tell, flag, refusal, grant, exceeded, marks
