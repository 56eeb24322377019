-- Holds and charges by their ids, for as long as somebody may still ask.

local BATCH = 100 -- are swept or folded at once
local NOTHING = {'0', '0', '0'}
local FIELDS = {
  'subject', 'want', 'least', 'leaf', 'epochs', 'parts', 'fuse', 'state', 'held', 'booked', 'tally', 'at', 'lease', 'by',
  'floor', 'first', 'zone', 'call',
}
local records = {}

local function record_of(id)
  if records[id] == nil then
    local h = hash(base .. 'r:' .. id)
    local values = call('HMGET', h.name, unpack(FIELDS))
    for i, field in ipairs(FIELDS) do
      h.seen[field] = values[i]
    end
    h.id = id
    records[id] = values[8] and h or false
  end
  return records[id] or nil
end

local function triple(amounts)
  return table.concat(amounts, ',')
end

-- The windows that a call counts in; those of the accounts themselves are not among them.
local function parts_of(rules, fuse, entry, terms)
  local found = {}
  local function touch(account, place, name, limit)
    found[#found + 1] = place .. '|' .. name .. '|' .. PLACE[limit.unit] .. '|' .. get(account, name .. ':part')
  end
  for _, r in ipairs(rules) do
    if r.windowed and counts(r, entry.subject) then
      touch(r.account, r.place, r.name, r.limit)
    end
  end
  local limit = terms.breaker and terms.breaker.velocity
  if fuse and limit and covers(limit, entry.subject) then
    rate(fuse, limit)
    touch(fuse.account, fuse.place, 'v:' .. limit.key, limit)
  end
  return found
end

local function move_parts(h, line, current, given, at, booked, was_at, was)
  for _, text in ipairs(split(h.seen.parts or '', ' ')) do
    local place, name, unit, part = string.match(text, '^(%d+)|([^|]*)|(%d)|(.*)$')
    place, unit = tonumber(place), tonumber(unit)
    local account = line[place]
    if account and get(account, name .. ':part') == part then
      local span = tonumber(string.match(name, '^%a:%a+;(%d+)ms;') or 0)
      local spent = current[place] and booked[unit] or '0'
      local before = current[place] and was[unit] or '0'
      move_window(account, name, span, given[unit], at, spent, was_at, before)
    end
  end
end

-- The limits that count in an account; a session has those of its budgets for each session, too.
local function limits_of(account)
  local found, at = {}, account
  while at and (at == account or not at.session) do
    for _, slot in ipairs(slots(at)) do
      local limit = slot.effective
      local each = limit and limit.window == 'session' and not at.session
      if limit and (at == account and not each or at ~= account and each) then
        found[#found + 1] = limit
      end
    end
    at = account.session and above(at.key) and find(above(at.key))
  end
  return found
end

local SPENT, RESERVED = {'s:usd', 's:tokens', 's:calls'}, {'r:usd', 'r:tokens', 'r:calls'}
local by_subject = {}

-- What an account has spent for a subject, in each unit; then what it has reserved for it.
local function fields_of(subject)
  local fields = by_subject[subject]
  if not fields then
    fields = {}
    for unit in ipairs(UNITS) do
      fields[unit] = 'S:' .. UNITS[unit] .. ':' .. subject
      fields[unit + 3] = 'R:' .. UNITS[unit] .. ':' .. subject
    end
    by_subject[subject] = fields
  end
  return fields
end

-- What an account counts a subject as: itself, or what stands for all beyond the most. Where a limit tells
-- the two apart, it counts as itself.
local function counted_as(account, subject)
  for _, field in ipairs(fields_of(subject)) do
    if get(account, field) then
      return subject
    end
  end
  if number(account, 'subjects') < MOST_SUBJECTS then
    add(account, 'subjects', '1')
    return subject
  end
  local kind, provider, tool, models = string.match(subject, '^([^;]*);([^;]*);([^;]*);(.*)$')
  local limits, named = limits_of(account), ''
  for _, limit in ipairs(limits) do
    named = limit.provider == provider and provider or named
  end
  local other = table.concat({kind, named, tool ~= '' and OTHER or '', models ~= '' and OTHER or ''}, ';')
  local itself, another = parse_subject(subject), parse_subject(other)
  for _, limit in ipairs(limits) do
    if covers(limit, itself) ~= covers(limit, another) then
      return subject
    end
  end
  return other
end

-- Change one account: spent, reserved, and the same by subject.
local function move(account, subject, spent, reserved)
  local some = false
  for unit in ipairs(UNITS) do
    some = some or spent[unit] ~= '0' or reserved[unit] ~= '0'
  end
  if not some then
    return
  end
  warm(account, fields_of(subject))
  local fields = fields_of(counted_as(account, subject))
  for unit in ipairs(UNITS) do
    add(account, SPENT[unit], spent[unit])
    add(account, fields[unit], spent[unit])
    add(account, RESERVED[unit], reserved[unit])
    add(account, fields[unit + 3], reserved[unit])
  end
end

local function new_record(id, entry, line, parts, fuse, held, state, lease, zone)
  local epochs = {}
  for place, account in ipairs(line) do
    epochs[place] = epoch(account)
  end
  local h = hash(base .. 'r:' .. id)
  h.id = id
  h.seen = {
    subject = entry.subject and entry.subject.text or '', want = triple(entry.amounts), least = triple(entry.least),
    leaf = #line > 0 and line[#line].key or '', epochs = table.concat(epochs, ','), parts = table.concat(parts, ' '),
    fuse = fuse and fuse.account.key or '', state = state, held = triple(held), booked = triple(NOTHING),
    tally = '', at = '0', lease = int(lease), by = nonce, call = '',
    floor = triple(entry.floor), first = '0', zone = zone or '',
  }
  local fields = {}
  for _, field in ipairs(FIELDS) do
    fields[#fields + 1] = field
    fields[#fields + 1] = h.seen[field]
  end
  write('HSET', h.name, unpack(fields))
  records[id] = h
  return h
end

-- Its accounts, nil where one is of another life; and which are still in the epoch that the hold was made in.
local function line_of(h)
  local line, current, epochs = {}, {}, split(h.seen.epochs, ',')
  for place, key in ipairs(h.seen.leaf ~= '' and path_of(h.seen.leaf) or {}) do
    local account = find(key)
    if account and string.match(epochs[place], '^%d+') == get(account, 'born') then
      line[place] = account
      current[place] = epochs[place] == epoch(account)
    end
  end
  return line, current, #epochs
end

-- What a booking changes in the history: amounts, nil where none, and named counters.
local function differences(h, state, booked, tally)
  local more, counters, some = {}, {}, false
  for unit, was in ipairs(split(h.seen.booked, ',')) do
    more[unit] = int(booked[unit] - was)
    some = some or more[unit] ~= '0'
  end
  for name, amount in string.gmatch(h.seen.tally, '([^=,]+)=([^=,]+)') do
    counters[name] = negative(amount)
  end
  for name, amount in pairs(tally) do
    counters[name] = int(amount + (counters[name] or 0))
  end
  local doubt = (state == 'in_doubt' and 1 or 0) - (h.seen.state == 'in_doubt' and 1 or 0)
  if doubt ~= 0 then
    counters.in_doubt = int(doubt)
  end
  return some and more or nil, counters
end

-- Replace what a record holds, or has booked before, by what it books now.
local function close(h, state, booked, tally, at)
  local line, current, length = line_of(h)
  local was, was_at = split(h.seen.booked, ','), tonumber(h.seen.at)
  local given = {}
  for unit, held in ipairs(split(h.seen.held, ',')) do
    given[unit] = h.seen.state == 'reserved' and negative(held) or '0'
  end
  local more, counters = differences(h, state, booked, tally)
  local first = number(h, 'first')
  first = first > 0 and first or at
  if more or next(counters) then
    count_days(line, h.seen.subject, more, counters, first, h.seen.zone or '')
  end
  for place = 1, length do
    local account = line[place]
    if account and current[place] then
      move(account, h.seen.subject, booked, given)
      move(account, h.seen.subject, {negative(was[1]), negative(was[2]), negative(was[3])}, NOTHING)
      for name, amount in string.gmatch(h.seen.tally, '([^=,]+)=([^=,]+)') do
        add(account, 't:' .. name, negative(amount))
      end
      for name, amount in pairs(tally) do
        add(account, 't:' .. name, amount)
      end
    elseif account then
      move(account, h.seen.subject, NOTHING, given)
      log(account.key, state, h.id .. ':' .. triple(booked))
      if not account.session then
        part(account, more or NOTHING)
      end
    end
  end
  move_parts(h, line, current, given, at, booked, was_at, was)
  local session = h.seen.fuse ~= '' and find(h.seen.fuse)
  if session then
    tried(session, h.id, state == 'settled')
    if state == 'released' then
      forget_call(session, h.seen.call)
    end
  end
  local words = {}
  for name, amount in pairs(tally) do
    words[#words + 1] = name .. '=' .. amount
  end
  put(h, 'state', state)
  put(h, 'booked', triple(booked))
  put(h, 'tally', table.concat(words, ','))
  put(h, 'at', int(at))
  if state ~= 'released' then
    put(h, 'first', int(first))
  end
  write('ZREM', base .. 'leases', h.id)
  write('ZADD', base .. 'final', int(now), h.id)
end

-- Book the holds whose lease is over: nobody is left who knows what they cost.
local function sweep()
  for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'leases', '-inf', int(now), 'LIMIT', 0, BATCH)) do
    local h = record_of(id)
    if h and h.seen.state == 'reserved' then
      close(h, 'in_doubt', split(h.seen.held, ','), {estimated = '1'}, tonumber(h.seen.lease))
    else
      write('ZREM', base .. 'leases', id)
    end
  end
end

-- Forget the oldest final records; what they booked stays in their accounts.
local function fold()
  for _, id in ipairs(call('ZRANGEBYSCORE', base .. 'final', '-inf', int(now - KEPT_MS), 'LIMIT', 0, BATCH)) do
    local h = record_of(id)
    if h then
      local line, current, length = line_of(h)
      for place = 1, length do
        for unit, amount in ipairs(current[place] and split(h.seen.booked, ',') or {}) do
          add(line[place], 'f:' .. UNITS[unit], amount)
        end
      end
    end
    write('DEL', base .. 'r:' .. id)
    write('ZREM', base .. 'final', id)
    records[id] = false
  end
end

return NOTHING, records, record_of, triple, parts_of, move_parts, move, new_record, line_of, close, sweep, fold
