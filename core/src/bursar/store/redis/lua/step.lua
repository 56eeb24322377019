-- One step of the ledger: what was asked, what time it is, and the writes that are decided on
-- before the first of them is made. An amount is a text of digits from end to end; a Lua number
-- is only ever compared.

local call = redis.call
local base = string.sub(KEYS[1], 1, -5) -- KEYS[1] is "<base>meta"
local path = {} -- the accounts from the root to the leaf, of a verb that has them
do
  local account, first = base .. 'a:', #KEYS + 1 -- its keys are the last ones
  while string.sub(KEYS[first - 1], 1, #account) == account do
    first = first - 1
  end
  for i = first, #KEYS do
    path[#path + 1] = string.sub(KEYS[i], #account + 1)
  end
end
local MOST_BALANCE = 4.6e18 -- half of what HINCRBY can hold

local cursor = 0
local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end

local function take_list()
  local list = {}
  for i = 1, tonumber(take()) do
    list[i] = take()
  end
  return list
end

-- Ends the step without a write: its answer is of this kind.
local function stop(kind, ...)
  error({kind, ...})
end

local function take_amount()
  local text = take()
  if not string.match(text, '^-?%d+$') or #text > 17 or math.abs(tonumber(text)) > MOST_AMOUNT then
    stop('unfit', text)
  end
  return text
end

local function take_amounts()
  return {take_amount(), take_amount(), take_amount()}
end

local function int(number)
  return string.format('%.0f', number + 0) -- never "1e+15", nor "-0"
end

local function negative(text)
  if text == '0' then
    return text
  end
  return string.sub(text, 1, 1) == '-' and string.sub(text, 2) or '-' .. text
end

local function split(text, separator)
  local parts = {}
  for part in string.gmatch(text, '[^' .. separator .. ']+') do
    parts[#parts + 1] = part
  end
  return parts
end

local function concat(list, more)
  for _, value in ipairs(more) do
    list[#list + 1] = value
  end
  return list
end

local verb, nonce, clock = take(), take(), take()
local seen = {id = take(), seq = tonumber(take()), ack = tonumber(take()), nonce = take()}
local pinned, proposed = take(), take()

-- Who made a step, for as many as are remembered: the same number may be given again after a loss.
local REMEMBERED = 1024
local function place(number)
  return 'm' .. string.format('%.0f', number % REMEMBERED)
end

local meta = call('HMGET', KEYS[1], 'id', 'seq', 'ack', 'now', 'accounts', 'mark', place(seen.seq), 'layout', 'since')
local ledger = {
  id = meta[1] or '',
  seq = tonumber(meta[2] or 0),
  ack = tonumber(meta[3] or 0),
  accounts = tonumber(meta[5] or 0),
  nonce = meta[6] or '',
  layout = tonumber(meta[8] or 1),
  since = tonumber(meta[9] or 0),
}

local now
if clock == '' then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(clock)
end
now = math.max(now, tonumber(meta[4] or 0)) -- a clock that runs backwards stands still

local writes = {}
local function write(...)
  writes[#writes + 1] = {...}
end

local step = ledger.seq + 1 -- the number of this one, if it writes

-- Make what was decided. The first write may be refused by a server that is full or read-only;
-- after it there are only commands that cannot fail.
local function make()
  if #writes > 0 then
    ledger.seq, ledger.nonce = step, nonce
    call('HSET', KEYS[1], 'seq', int(step), 'now', int(now), 'mark', nonce, place(step), nonce)
    for _, command in ipairs(writes) do
      call(unpack(command))
    end
    writes = {}
  end
end

-- Nothing is touched that was written by a newer program, which may lay it out in another way.
local function check_layout()
  if ledger.layout > LAYOUT then
    stop('newer', int(ledger.layout))
  end
end

-- Data was lost when this store knows less than a client does, unless somebody has accepted that since.
local function check_ledger()
  local listed = call('HLEN', base .. 'accounts')
  if ledger.id == '' then
    if listed > 0 or seen.id ~= '' or pinned ~= '' then
      stop('rolled_back', 'the ledger is gone')
    end
    ledger.id = proposed
    ledger.layout = LAYOUT
    write('HSET', KEYS[1], 'id', proposed, 'layout', int(LAYOUT))
    return
  end
  if pinned ~= '' and pinned ~= ledger.id then
    stop('rolled_back', 'it is another ledger than the one that ?ledger= names')
  end
  if seen.id ~= '' and ledger.ack <= seen.ack then
    if seen.id ~= ledger.id then
      stop('rolled_back', 'it is another ledger than before')
    end
    local remembered = ledger.seq < seen.seq + REMEMBERED and seen.nonce ~= ''
    if ledger.seq < seen.seq or (remembered and meta[7] ~= seen.nonce) then
      stop('rolled_back', 'its last steps are gone')
    end
  end
  if listed ~= ledger.accounts then
    stop('rolled_back', 'its list of accounts is gone')
  end
end

-- Answers are kept for a while by the nonce of their request, so that a request that is sent
-- again because its answer was lost gets that very answer.
local ANSWERS_MS, MOST_ANSWERS = 10000, 10000

local function keep_answer(request, answer)
  write('HSET', base .. 'answers', request, answer)
  write('RPUSH', base .. 'answered', int(now) .. ' ' .. request)
  local many = call('LLEN', base .. 'answered') >= MOST_ANSWERS
  for _, old in ipairs(call('LRANGE', base .. 'answered', 0, 3)) do
    local at, request = string.match(old, '^(%d+) (.*)$')
    if not many and tonumber(at) > now - ANSWERS_MS then
      break
    end
    write('LPOP', base .. 'answered')
    write('HDEL', base .. 'answers', request)
  end
end
