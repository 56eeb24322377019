-- What is read only: the accounts of a tree, and what its records add up to.

local function read(all)
  local keys = all or tonumber(ARGV[cursor + 1]) == 0 and call('HKEYS', base .. 'accounts') or take_list()
  local answer = {'accounts'}
  for _, key in ipairs(keys) do
    local account = find(key)
    if account then
      whole(account)
      local frees_at = {}
      for _, slot in ipairs(slots(account)) do
        local limit = slot.effective
        if limit and limit.span > 0 then
          local name = 'w:' .. limit.key
          roll(account, name, limit.span)
          local spent = number(account, name .. ':spent')
          local at = spent > 0 and frees(account, name, limit.span, spent)
          account.seen[name .. ':frees'] = at or false
        end
      end
      local fields = {}
      for field, value in pairs(account.seen) do
        if value then
          fields[#fields + 1] = field
          fields[#fields + 1] = type(value) == 'number' and int(value) or value
        end
      end
      concat(answer, {key, int(#fields / 2)})
      concat(answer, fields)
    end
  end
  return answer
end

-- Sums of records that count in the same accounts; a new line before a sum is too large to be exact.
local function audit()
  local answer, groups = read(call('HKEYS', base .. 'accounts')), {}
  answer[#answer + 1] = 'records'
  for _, list in ipairs({'leases', 'final'}) do
    for _, id in ipairs(call('ZRANGE', base .. list, 0, -1)) do
      local h = record_of(id)
      if h and h.seen.leaf ~= '' then
        local open_still = h.seen.state == 'reserved'
        local name = h.seen.leaf .. '\n' .. h.seen.epochs .. '\n' .. flag(open_still)
        local sums = groups[name] or {0, 0, 0}
        for unit, amount in ipairs(split(open_still and h.seen.held or h.seen.booked, ',')) do
          if math.abs(sums[unit] + tonumber(amount)) > MOST_AMOUNT then
            concat(answer, {name, int(sums[1]), int(sums[2]), int(sums[3])})
            sums = {0, 0, 0}
          end
          sums[unit] = sums[unit] + tonumber(amount)
        end
        groups[name] = sums
        records[id] = nil
      end
    end
  end
  for name, sums in pairs(groups) do
    concat(answer, {name, int(sums[1]), int(sums[2]), int(sums[3])})
  end
  return answer
end
