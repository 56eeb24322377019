-- Limits: as they were declared, as they are in force, and what they look at. One is a text of
-- "unit;over;model;tool;provider;amount;tz;window", whose first five parts are its key.

local UNITS = {'usd', 'tokens', 'calls'}
local PLACE = {usd = 1, tokens = 2, calls = 3}
local LIMIT = '^((%a+);([^;]*);([^;]*);([^;]*);([^;]*));(%d+);([^;]*);([^;]*)$'

local function parse_limit(text)
  local key, unit, over, model, tool, provider, amount, tz, window = string.match(text, LIMIT)
  return {
    text = text, key = key, unit = unit, model = model, tool = tool, provider = provider,
    amount = tonumber(amount), tz = tz, window = window,
    span = tonumber(string.match(over, '^(%d+)ms$') or 0),
    same = key .. ';' .. amount .. ';' .. tz,
  }
end

local function parse_subject(text)
  local kind, provider, tool, models = string.match(text, '^([^;]*);([^;]*);([^;]*);(.*)$')
  local named = {}
  for _, model in ipairs(split(models, ',')) do
    named[model] = true
  end
  return {text = text, kind = kind, provider = provider, tool = tool, models = named}
end

local function covers(limit, subject)
  if limit.model ~= '' and not subject.models[limit.model] then
    return false
  end
  if limit.provider ~= '' and limit.provider ~= subject.provider then
    return false
  end
  if limit.tool ~= '' then
    return subject.tool ~= '' and (limit.tool == '%2A' or limit.tool == subject.tool)
  end
  return limit.unit ~= 'calls' or subject.kind == 'model'
end

-- The limits of an account in the order in which they came; each with what was declared and what is in force.
local function slots(account)
  if not account.slots then
    account.slots = {}
    for _, pair in ipairs(split(get(account, 'limits') or '', ' ')) do
      local declared, effective = string.match(pair, '^(.*)|(.*)$')
      local slot = {
        declared = declared ~= '' and parse_limit(declared) or nil,
        effective = effective ~= '' and parse_limit(effective) or nil,
      }
      slot.key = (slot.declared or slot.effective).key
      account.slots[#account.slots + 1] = slot
    end
  end
  return account.slots
end

local function slot_of(account, key)
  for place, slot in ipairs(slots(account)) do
    if slot.key == key then
      return slot, place
    end
  end
end

-- Keep a limit as it was declared and as it is in force; a new window counts from zero.
local function keep_limit(account, key, declared, effective)
  local slot, place = slot_of(account, key)
  if not slot then
    slot, place = {key = key}, #account.slots + 1
    account.slots[place] = slot
  end
  slot.declared, slot.effective = declared, effective
  if not effective then
    end_window(account, 'w:' .. key)
  elseif (effective.span > 0 or effective.tz ~= '') and not get(account, 'w:' .. key .. ':part') then
    begin_window(account, 'w:' .. key, effective.span)
  end
  if not declared and not effective then
    table.remove(account.slots, place)
  end
  local pairs_of = {}
  for i, kept in ipairs(account.slots) do
    pairs_of[i] = (kept.declared and kept.declared.text or '') .. '|' .. (kept.effective and kept.effective.text or '')
  end
  put(account, 'limits', table.concat(pairs_of, ' '))
end

local function conflict(account, texts)
  local here = {}
  for _, slot in ipairs(slots(account)) do
    if slot.effective then
      here[#here + 1] = slot.effective.text
    end
  end
  stop('conflict', account.key, table.concat(here, ' '), table.concat(texts, ' '))
end

-- The first declaration counts; a later one has to say the same, or what is in force.
local function declare(account, texts)
  local known, wanted = false, {}
  for _, slot in ipairs(slots(account)) do
    known = known or slot.declared ~= nil
  end
  for _, text in ipairs(texts) do
    local limit = parse_limit(text)
    wanted[limit.key] = true
    local slot = slot_of(account, limit.key)
    local declared, effective = slot and slot.declared, slot and slot.effective
    local agrees
    if known then
      agrees = declared and (limit.same == declared.same or effective and limit.same == effective.same)
    else
      agrees = not effective or limit.same == effective.same
    end
    if not agrees then
      conflict(account, texts)
    end
    if not known then
      keep_limit(account, limit.key, limit, limit)
    end
  end
  for _, slot in ipairs(slots(account)) do
    if known and slot.declared and not wanted[slot.key] then
      conflict(account, texts)
    end
  end
end

return UNITS, PLACE, parse_limit, parse_subject, covers, slots, slot_of, keep_limit, declare
