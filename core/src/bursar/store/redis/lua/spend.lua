-- The verbs of a call: reserve, probe, settle, book, doubt, release, extend.

local function take_entry()
  return {id = take(), subject = parse_subject(take()), amounts = take_amounts(), least = NOTHING, floor = NOTHING}
end

local function take_terms()
  return {
    lease = tonumber(take()), enforce = take() == '1', finalizing = take() == '1',
    kept_ppm = tonumber(take()), kept = tonumber(take()), soft = split(take(), ','),
    share = tonumber(take()), others_wait = take() == '1', history = tonumber(take()),
    breaker = take_breaker(), zone = take(),
  }
end

local function take_tally()
  local tally = {}
  for name, amount in string.gmatch(take(), '([^=,]+)=(-?%d+)') do
    tally[name] = amount
  end
  return tally
end

local function stale(zones)
  stop('stale', unpack(zones))
end

-- What is granted, or the first of these that refuses: kill switch, open breaker, loop, limits, velocity; or
-- nothing of both, and the limits whose room others hold.
local function verdict(line, rules, fuse, entry, terms)
  for _, account in ipairs(line) do
    local tripped = get(account, 'tripped')
    if tripped then
      return nil, refusal(account, 'tripped', {tripped = tripped})
    end
  end
  if not fuse then
    return grant(rules, entry, terms)
  end
  local no = fuse_refusal(fuse, terms.breaker) or repeated(fuse, terms.breaker, entry)
  if no then
    return nil, no
  end
  return grant(rules, entry, terms, speed_of(fuse, terms.breaker, entry))
end

local function granted_answer(held, state, repeated)
  return {'granted', held[1], held[2], held[3], state, flag(repeated)}
end

-- Only the first ask of a call counts that it is contended; another one writes nothing.
local function contended_answer(line, held, entry, zone)
  if entry.ask == 'first' then
    for _, account in ipairs(line) do
      add(account, 't:contended', '1')
    end
    count_days(line, entry.subject.text, nil, {contended = '1'}, now, zone)
  else
    writes = {}
  end
  local lease = call('ZRANGE', base .. 'leases', 0, 0, 'WITHSCORES')[2]
  return concat({'contended', lease and int(tonumber(lease)) or ''}, held)
end

local function reserve(only_probe)
  local entry = take_entry()
  entry.least, entry.floor, entry.ask, entry.fingerprint = take_amounts(), take_amounts(), take(), take()
  local terms, periods = take_terms(), take_periods()
  local known = not only_probe and record_of(entry.id)
  if known then
    local same = known.seen.subject == entry.subject.text and known.seen.want == triple(entry.amounts)
      and known.seen.least == triple(entry.least) and known.seen.leaf == path[#path]
      and (not known.seen.floor or known.seen.floor == triple(entry.floor))
    if not same then
      stop('closed', 'another')
    end
    return granted_answer(split(known.seen.held, ','), known.seen.state, true)
  end
  local line = open()
  local rules = in_force(line)
  local zones = refresh(rules, periods)
  if #zones > 0 then
    stale(zones)
  end
  local fuse = terms.breaker and fuse_of(line)
  if only_probe or not terms.enforce then
    entry.ask = 'last'
  end
  local granted, refused, held = verdict(line, rules, fuse, entry, terms)
  if held then
    return contended_answer(line, held, entry, terms.zone)
  end
  if only_probe then
    return granted and granted_answer(granted, 'reserved', false) or concat({'refused'}, refused)
  end
  if refused then
    local enforced = terms.enforce or refused[2] == 'tripped' -- nobody ignores a kill switch
    local counter = enforced and 'refusals' or 'would_refuse'
    for _, account in ipairs(line) do
      add(account, 't:' .. counter, '1')
    end
    local told = {[counter] = '1', alerts = refused[9] == '1' and '1' or nil}
    count_days(line, entry.subject.text, nil, told, now, terms.zone)
    alerts.keep_refusal(entry, refused)
    if enforced then
      return concat({'refused'}, refused)
    end
  end
  if refused or not terms.enforce then
    granted = entry.amounts
  end
  for _, account in ipairs(line) do
    move(account, entry.subject.text, NOTHING, granted)
  end
  local parts = parts_of(rules, fuse, entry, terms)
  local h = new_record(entry.id, entry, line, parts, fuse, granted, 'reserved', now + terms.lease, terms.zone)
  move_parts(h, line, {}, granted, 0, NOTHING, 0, NOTHING)
  if fuse and not refused then
    put(h, 'call', admit(fuse, terms.breaker, entry))
  end
  write('ZADD', base .. 'leases', h.seen.lease, entry.id)
  return concat(granted_answer(granted, 'reserved', false), refused or {})
end

local function booked_answer(held, overrun, repeated, over, told)
  local answer = {'booked', held[1], held[2], held[3], overrun, flag(repeated), flag(over)}
  return concat(concat(answer, over or {}), told)
end

-- Book what a call cost, or may have cost, in place of what was held or booked for it.
local function conclude(state, unheld)
  local entry = take_entry()
  local tally, terms, periods = take_tally(), take_terms(), take_periods()
  local h = record_of(entry.id)
  local before = h and h.seen.state or 'released'
  if h and before == 'settled' then
    if state == 'in_doubt' or h.seen.booked == triple(entry.amounts) then
      local overrun = string.match(',' .. h.seen.tally, ',overrun_usd=(%d+)') or '0'
      return booked_answer(split(h.seen.held, ','), overrun, true, nil, {})
    end
    stop('closed', 'amounts')
  end
  if h and before == 'released' and state == 'in_doubt' then
    stop('closed', 'undoubted')
  end
  expire_days(terms.history)
  local line, rules, fuse
  if h and h.seen.leaf ~= '' then
    line = {}
    local found, _, length = line_of(h)
    for place = 1, length do -- an account of another life is no longer there
      line[#line + 1] = found[place]
    end
    rules = in_force(line)
    refresh(rules, periods)
    fuse = h.seen.fuse ~= '' and fuse_of(line)
  else -- never heard of, or only a release that came first
    line = open()
    rules = in_force(line)
    local zones = refresh(rules, periods)
    if #zones > 0 then
      stale(zones)
    end
    fuse = terms.breaker and fuse_of(line)
    local parts = parts_of(rules, fuse, entry, terms)
    h = new_record(entry.id, entry, line, parts, fuse, NOTHING, 'released', 0, terms.zone)
  end
  local held = before == 'released' and NOTHING or split(h.seen.held, ',')
  local usd, held_usd = tonumber(entry.amounts[1]), tonumber(held[1])
  local exceeds = false
  for unit, amount in ipairs(entry.amounts) do
    exceeds = exceeds or tonumber(amount) > tonumber(held[unit])
  end
  local overrun = '0'
  if exceeds and not unheld then
    overrun = int(math.max(0, usd - held_usd))
    tally.overruns, tally.overrun_usd = '1', overrun
  end
  close(h, state, entry.amounts, tally, now)
  local told, over = marks(rules, entry, terms), nil
  if exceeds then
    over = exceeded(rules, entry)
    if not over and fuse and terms.breaker then
      over = too_fast_now(fuse, terms.breaker, entry)
    end
  end
  local kept = alerts.keep_booked(entry, path[#path], told, overrun, over)
  if kept > 0 then
    count_days(line, h.seen.subject, nil, {alerts = int(kept)}, now, h.seen.zone or '')
  end
  return booked_answer(held, overrun, false, over, told)
end

local function release()
  local id, tally = take(), take_tally()
  local h = record_of(id)
  if not h then
    new_record(id, {amounts = NOTHING, least = NOTHING, floor = NOTHING}, {}, {}, nil, NOTHING, 'released', 0)
    write('ZADD', base .. 'final', int(now), id)
  elseif h.seen.state == 'reserved' then
    close(h, 'released', NOTHING, tally, now)
  elseif h.seen.state ~= 'released' then
    stop('closed', h.seen.state)
  end
  return {'done'}
end

-- A client gave up on a reserve: it is undone, or refused where it arrives only now.
local function withdraw()
  local id, request = take(), take()
  local h = record_of(id)
  if not h or h.seen.by ~= request then
    local refused = {ledger.id, int(step), int(ledger.ack), int(now), 'closed', 'another'}
    keep_answer(request, table.concat(refused, '\n'))
  elseif h.seen.state == 'reserved' then
    close(h, 'released', NOTHING, {}, now)
  end
  return {'done'}
end

local function extend()
  local id, lease = take(), tonumber(take())
  local h = record_of(id)
  if not h or h.seen.state ~= 'reserved' then
    stop('closed', 'not open')
  end
  put(h, 'lease', int(now + lease))
  write('ZADD', base .. 'leases', int(now + lease), id)
  return {'done'}
end

return reserve, conclude, release, withdraw, extend
