-- The breaker of the outermost session of a path: closed, open, or letting one call at a time try.

local function take_breaker()
  if take() == '' then
    return nil
  end
  local breaker = {
    most = tonumber(take()), loop = tonumber(take()), velocity = take(), cooldown = tonumber(take()),
    what = take(), within = take(), too_fast = take(), trips = take() == '1',
  }
  breaker.velocity = breaker.velocity ~= '' and parse_limit(breaker.velocity) or nil
  return breaker
end

local function fuse_of(line)
  for place, account in ipairs(line) do
    if account.session then
      return {account = account, place = place}
    end
  end
end

local REFUSED_MARK, TOLD_MARK = '!', '?' -- after a fingerprint: when it was refused in a row, when that was told

local function calls_of(fuse)
  return base .. 'c:' .. fuse.account.key, base .. 'l:' .. fuse.account.key
end

local function close_fuse(account)
  for _, field in ipairs({'trip', 'trip:cause', 'trip:reason', 'trip:at', 'trip:probe'}) do
    drop(account, field)
  end
end

local function forget_calls(fuse)
  local by_call, by_time = calls_of(fuse)
  write('DEL', by_call, by_time)
end

local function open_fuse(fuse, cause, reason)
  put(fuse.account, 'trip', 'open')
  put(fuse.account, 'trip:cause', cause)
  put(fuse.account, 'trip:reason', reason)
  put(fuse.account, 'trip:at', int(now))
  drop(fuse.account, 'trip:probe')
end

-- Why an open breaker refuses; nil where it is closed or may be tried.
local function fuse_refusal(fuse, breaker)
  local account, wait = fuse.account, nil
  local state = get(account, 'trip')
  if not state or (state == 'half_open' and not get(account, 'trip:probe')) then
    return nil
  end
  if state == 'open' and breaker.cooldown then
    wait = number(account, 'trip:at') + breaker.cooldown - now
    if wait <= 0 then
      return nil
    end
  end
  return refusal(account, get(account, 'trip:cause'), {tripped = get(account, 'trip:reason'), wait = wait})
end

-- What was spent within the span of the velocity, as of now.
local function rate(fuse, limit)
  local name = 'v:' .. limit.key
  if get(fuse.account, name .. ':part') then
    roll(fuse.account, name, limit.span)
  else
    begin_window(fuse.account, name, limit.span)
  end
  return number(fuse.account, name .. ':spent'), number(fuse.account, name .. ':reserved')
end

local function too_fast(fuse, breaker, spent, reserved)
  open_fuse(fuse, 'velocity', breaker.too_fast)
  return refusal(fuse.account, 'velocity', {
    limit = breaker.velocity, spent = spent, reserved = reserved, first = true, reason = breaker.too_fast,
    wait = breaker.cooldown,
  })
end

-- When a call was made within the window; `mark` is that of what is kept beside it.
local function lately(fuse, breaker, fingerprint, mark)
  local found = {}
  for _, at in ipairs(split(call('HGET', calls_of(fuse), fingerprint .. mark) or '', ',')) do
    if tonumber(at) > now - breaker.loop then
      found[#found + 1] = at
    end
  end
  return found
end

local function keep_call(fuse, fingerprint, times)
  local by_call, by_time = calls_of(fuse)
  write('HSET', by_call, fingerprint, table.concat(times, ','))
  write('ZADD', by_time, times[#times], fingerprint)
end

-- The refusal of a call that was made too often with the same input; told once a window. It may open the breaker.
local function repeated(fuse, breaker, entry)
  local fingerprint = entry.fingerprint
  if fingerprint == '' or not breaker.most or get(fuse.account, 'trip') then
    return nil
  end
  local made = lately(fuse, breaker, fingerprint, '')
  if #made < breaker.most then
    return nil
  end
  local reason = breaker.what .. '%20was%20called%20' .. int(#made) .. breaker.within
  local row, wait = lately(fuse, breaker, fingerprint, REFUSED_MARK), breaker.cooldown
  local first = #lately(fuse, breaker, fingerprint, TOLD_MARK) == 0
  row[#row + 1] = int(now)
  if breaker.trips or #row >= breaker.most then
    open_fuse(fuse, 'loop', reason)
  else
    keep_call(fuse, fingerprint .. REFUSED_MARK, row)
    wait = made[#made - breaker.most + 1] + breaker.loop - now
  end
  if first then
    keep_call(fuse, fingerprint .. TOLD_MARK, {int(now)})
  end
  return refusal(fuse.account, 'loop', {first = first, times = #made + 1, reason = reason, wait = wait})
end

-- The velocity as one more limit, where it has a say about the call.
local function speed_of(fuse, breaker, entry)
  local limit = breaker.velocity
  if not limit or not covers(limit, entry.subject) then
    return nil
  end
  local spent, reserved = rate(fuse, limit)
  return {
    account = fuse.account, limit = limit, spent = spent, reserved = reserved,
    too_fast = function() return too_fast(fuse, breaker, spent, reserved) end,
  }
end

-- The velocity that a charge without a hold has passed; that opens the breaker, too.
local function too_fast_now(fuse, breaker, entry)
  local limit = breaker.velocity
  if not limit or get(fuse.account, 'trip') == 'open' or not covers(limit, entry.subject) then
    return nil
  end
  local spent, reserved = rate(fuse, limit)
  return spent > limit.amount and too_fast(fuse, breaker, spent, reserved) or nil
end

-- A call goes through: it is counted; if the breaker was open, it is the one that tries. What was counted, and when.
local function admit(fuse, breaker, entry)
  local by_call, by_time = calls_of(fuse)
  local made = {}
  if get(fuse.account, 'trip') then
    put(fuse.account, 'trip', 'half_open')
    put(fuse.account, 'trip:probe', entry.id)
    forget_calls(fuse)
  elseif entry.fingerprint ~= '' then
    made = split(call('HGET', by_call, entry.fingerprint) or '', ',')
  end
  if entry.fingerprint == '' or not breaker.most then
    return ''
  end
  made[#made + 1] = int(now)
  local kept = {}
  for i = math.max(1, #made - breaker.most), #made do
    kept[#kept + 1] = made[i]
  end
  keep_call(fuse, entry.fingerprint, kept)
  write('HDEL', by_call, entry.fingerprint .. REFUSED_MARK)
  write('ZREM', by_time, entry.fingerprint .. REFUSED_MARK)
  local gone = call('ZRANGEBYSCORE', by_time, '-inf', int(now - breaker.loop), 'LIMIT', 0, 100)
  if call('ZCARD', by_time) >= MOST_CALLS then
    gone[#gone + 1] = call('ZRANGE', by_time, 0, 0)[1]
  end
  for _, fingerprint in ipairs(gone) do
    if fingerprint ~= entry.fingerprint then
      write('HDEL', by_call, fingerprint)
      write('ZREM', by_time, fingerprint)
    end
  end
  return entry.fingerprint .. ' ' .. int(now)
end

-- A call that was counted has cost nothing: it does not count any more.
local function forget_call(account, counted)
  local fingerprint, at = string.match(counted or '', '^(%S+) (%d+)$')
  if not fingerprint then
    return
  end
  local by_call, by_time = calls_of({account = account})
  local left, gone = {}, false
  for _, made in ipairs(split(call('HGET', by_call, fingerprint) or '', ',')) do
    if made == at and not gone then
      gone = true
    else
      left[#left + 1] = made
    end
  end
  if #left > 0 then
    write('HSET', by_call, fingerprint, table.concat(left, ','))
  elseif gone then
    write('HDEL', by_call, fingerprint)
    write('ZREM', by_time, fingerprint)
  end
end

-- A call is over: if it was the one that tried, an answer closes the breaker.
local function tried(account, id, answered)
  if get(account, 'trip:probe') == id then
    if answered then
      close_fuse(account)
    else
      drop(account, 'trip:probe')
    end
  end
end

return take_breaker, fuse_of, calls_of, close_fuse, forget_calls, fuse_refusal, rate, repeated, speed_of,
  too_fast_now, admit, forget_call, tried
