-- The newest alerts of the tree, and which of them nobody has delivered yet. "alerts" lists their ids in order,
-- "alert" has what each tells, "due" lists those to be delivered, by the time since when.

local alerts = {} -- what other files use
do
  local ORDERED, FACTS, DUE = base .. 'alerts', base .. 'alert', base .. 'due'
  local added = 0 -- in this step

  local function forget(id)
    write('ZREM', ORDERED, id)
    write('HDEL', FACTS, id)
    write('ZREM', DUE, id)
  end

  -- Keep an alert, and forget the oldest where there are too many. Its id is what Python calls it.
  local function keep(call_id, kind, account, limit, fraction, spent, reserved, detail)
    added = added + 1
    local what = limit ~= '' and parse_limit(limit).key or ''
    local id = redis.sha1hex(table.concat({call_id, kind, account, what, fraction, spent}, '\n'))
    local words = {kind, account, limit, fraction, spent, reserved, detail, int(now)}
    write('ZADD', ORDERED, int(step * 1000 + added), id)
    write('HSET', FACTS, id, table.concat(words, ' '))
    write('ZADD', DUE, int(now), id)
    local over = call('ZCARD', ORDERED) + added - MOST_ALERTS
    for _, old in ipairs(over > 0 and call('ZRANGE', ORDERED, over - 1, over - 1) or {}) do
      forget(old)
    end
  end

  local KINDS = {limit = 'hard_limit', loop = 'loop_detected', velocity = 'velocity'}

  -- What a refusal has to tell, where it is the first one.
  function alerts.keep_refusal(entry, lines)
    if lines[9] == '1' then
      keep(entry.id, KINDS[lines[2]], lines[1], lines[3], '', lines[4], lines[5], string.sub(lines[11], 2))
    end
  end

  -- What a booking has to tell: the marks that are reached, an overrun, a limit that is passed.
  function alerts.keep_booked(entry, leaf, marks, overrun, over)
    for i = 1, #marks, 4 do
      keep(entry.id, 'soft_limit', marks[i], marks[i + 1], marks[i + 2], marks[i + 3], '0', '')
    end
    if overrun ~= '0' then
      local tool, models = string.match(entry.subject.text, '^[^;]*;[^;]*;([^;]*);([^,]*)')
      keep(entry.id, 'overrun', leaf, '', '', overrun, '0', models ~= '' and models or tool)
    end
    if over then
      alerts.keep_refusal(entry, over)
    end
    return added
  end

  -- Some alerts of the tree, the oldest first.
  function alerts.page()
    local after, limit = take(), tonumber(take())
    local first = after == '' and '-inf' or '(' .. after
    local found = call('ZRANGEBYSCORE', ORDERED, first, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    local answer = {'alerts', #found > 0 and int(found[#found]) or after}
    for i = 1, #found, 2 do
      local facts = call('HGET', FACTS, found[i]) -- may be lost
      concat(answer, facts and {found[i], facts, flag(call('ZSCORE', DUE, found[i]))} or {})
    end
    return answer
  end

  -- Those that have been due for long: they are due anew, and those of yesterday no more.
  function alerts.claim()
    local idle, limit, answer = tonumber(take()), tonumber(take()), {'alerts', ''}
    for _, id in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', int(now - idle), 'LIMIT', 0, limit)) do
      local facts = call('HGET', FACTS, id)
      if facts and tonumber(string.match(facts, '%d+$')) > now - ALERT_DUE_MS then
        write('ZADD', DUE, int(now), id)
        concat(answer, {id, facts, '1'})
      else
        write('ZREM', DUE, id)
      end
    end
    return answer
  end

  function alerts.delivered()
    for _, id in ipairs(take_list()) do
      if call('ZSCORE', DUE, id) then
        write('ZREM', DUE, id)
      end
    end
    return {'done'}
  end
end

return alerts
