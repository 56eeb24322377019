-- What a limit over a window has counted. A part is what a call counts in: one calendar period, or a
-- rolling span with its buckets. A call that was held in an earlier part does not count in a later one.

local parts = 0

local function width(span)
  return math.ceil(span / BUCKETS)
end

local function first_bucket(span)
  return math.floor((now - span) / width(span))
end

local function begin_window(account, name, span)
  parts = parts + 1
  put(account, name .. ':part', int(step) .. '.' .. int(parts))
  put(account, name .. ':spent', '0')
  put(account, name .. ':reserved', '0')
  if span > 0 then
    put(account, name .. ':first', int(first_bucket(span)))
  end
end

-- The buckets that may be filled, from the oldest one that still counts.
local function bucket_fields(account, name, span, from, to)
  local fields, missing = {}, {}
  local part = get(account, name .. ':part')
  for bucket = from, math.min(to, from + BUCKETS + 2) do
    local field = part .. ':' .. int(bucket)
    fields[#fields + 1] = field
    if account.buckets.seen[field] == nil then
      missing[#missing + 1] = field
    end
  end
  if #missing > 0 then
    local values = call('HMGET', account.buckets.name, unpack(missing))
    for i, field in ipairs(missing) do
      account.buckets.seen[field] = values[i]
    end
  end
  return fields
end

-- Let the buckets go that are outside by now; before anything else is done with the window.
local function roll(account, name, span)
  local old, new = number(account, name .. ':first'), first_bucket(span)
  if new > old then
    for _, field in ipairs(bucket_fields(account, name, span, old, new - 1)) do
      local spent = account.buckets.seen[field]
      if spent then
        add(account, name .. ':spent', negative(tostring(spent)))
        drop(account.buckets, field)
      end
    end
    put(account, name .. ':first', int(new))
  end
end

local function end_window(account, name)
  local first = get(account, name .. ':first')
  if first then
    for _, field in ipairs(bucket_fields(account, name, 0, tonumber(first), math.huge)) do
      drop(account.buckets, field)
    end
  end
  for _, field in ipairs({'part', 'spent', 'reserved', 'first', 'start', 'end'}) do
    drop(account, name .. ':' .. field)
  end
end

-- A change of what a window counts: held by so much more, and `spent` at one moment instead of `was` at another.
local function move_window(account, name, span, reserved, at, spent, was_at, was)
  add(account, name .. ':reserved', reserved)
  if span == 0 then
    add(account, name .. ':spent', spent)
    add(account, name .. ':spent', negative(was))
    return
  end
  roll(account, name, span)
  local part, first = get(account, name .. ':part'), number(account, name .. ':first')
  for _, booking in ipairs({{at, spent}, {was_at, negative(was)}}) do
    local bucket = math.floor(booking[1] / width(span))
    if bucket >= first and booking[2] ~= '0' then
      add(account, name .. ':spent', booking[2])
      add(account.buckets, part .. ':' .. int(bucket), booking[2])
    end
  end
end

-- When so much of what was spent has left; nil if there is not so much.
local function frees(account, name, span, amount)
  local first, left = number(account, name .. ':first'), amount
  local last = math.floor(now / width(span))
  for i, field in ipairs(bucket_fields(account, name, span, first, last)) do
    left = left - tonumber(account.buckets.seen[field] or 0)
    if left <= 0 then
      return (first + i) * width(span) + span
    end
  end
end

return begin_window, roll, end_window, move_window, frees
