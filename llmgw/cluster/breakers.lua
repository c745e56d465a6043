-- Breakers that all nodes share. The transitions are those of llmgw/rules/breaker.py, which says what they mean.
--
-- KEYS  states   hash: name -> state, packed
--       changes  sorted set: name -> version of its last transition or lease
--       meta     hash: `version` of the last change; `fresh`, the generation of names that are not in `states`
-- ARGV  what, channel, now ('' : the server's own clock), settings (packed), what's own arguments
--
-- `fresh` begins at the clock's milliseconds and rises whenever states are forgotten. So a generation never comes a
-- second time, not even after the server lost its data, and a node that finds another `fresh` reads everything anew.
--
-- Every answer, and every message, is packed: {now, version, fresh, full, changes, permit}. What a node reads and what
-- it is told look the same.

local STATES, CHANGES, META = KEYS[1], KEYS[2], KEYS[3]
local what, channel = ARGV[1], ARGV[2]
local SLICES, LIMIT, KEPT_S = 10, 10000, 86400

local clock = redis.call('TIME')
local now = tonumber(ARGV[3]) or (tonumber(clock[1]) + tonumber(clock[2]) / 1000000)
local given = cmsgpack.unpack(ARGV[4])
local failures, ratio, min_calls = given[1], given[2], given[3]
local window_s, cooldown_s, half_open = given[4], given[5], given[6]

local fresh = tonumber(redis.call('HGET', META, 'fresh'))
local version = tonumber(redis.call('HGET', META, 'version')) or 0
if not fresh then
  fresh = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  redis.call('HSET', META, 'fresh', string.format('%.0f', fresh))
end

local function closed(generation)
  return {'closed', generation, {}, {}, 0, {}}
end

local function opened(state, at)
  return {'open', state[2] + 1, {}, {}, at, {}}
end

local function load(name)
  local found = redis.call('HGET', STATES, name)
  if not found then return closed(fresh) end
  local state = cmsgpack.unpack(found)
  if state[2] == 0 then state[2] = fresh end
  return state
end

local function answer(full, changes, permit)
  return cmsgpack.pack({now, version, fresh, full, changes, permit or false})
end

-- One half goes, first what is closed and has not failed of late, last what has just opened.
local function forget()
  local all = redis.call('HGETALL', STATES)
  local known = {}
  for n = 1, #all, 2 do
    local state = cmsgpack.unpack(all[n + 1])
    known[#known + 1] = {all[n], state[2], state[5], state[3][#state[3]] or -math.huge}
  end
  table.sort(known, function(a, b)
    if a[3] ~= b[3] then return a[3] < b[3] end
    if a[4] ~= b[4] then return a[4] < b[4] end
    return a[1] < b[1]
  end)
  for n = 1, math.floor(#known / 2) do
    redis.call('HDEL', STATES, known[n][1])
    redis.call('ZREM', CHANGES, known[n][1])
    fresh = math.max(fresh, known[n][2])
  end
  fresh = fresh + 1
  redis.call('HSET', META, 'fresh', string.format('%.0f', fresh))
  -- Until they know, what nodes say of unknown names is of another generation and does not count.
  redis.call('PUBLISH', channel, answer(false, {}))
end

-- Keep it; `told` where other nodes have to know.
local function save(name, state, told)
  -- Nodes do not know of what has never opened and take it for fresh: it is kept as that, whatever that will be.
  local generation = state[2]
  if state[1] == 'closed' and generation == fresh then generation = 0 end
  local packed = cmsgpack.pack({state[1], generation, state[3], state[4], state[5], state[6]})
  if redis.call('HEXISTS', STATES, name) == 0 and redis.call('HLEN', STATES) >= LIMIT then forget() end
  redis.call('HSET', STATES, name, packed)
  if told then
    version = redis.call('HINCRBY', META, 'version', 1)
    redis.call('ZADD', CHANGES, version, name)
    redis.call('PUBLISH', channel, answer(false, {{name, state}}))
  end
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEPT_S) end
end

local function held(state)
  local leases = {}
  for _, began in ipairs(state[6]) do
    if now - began < cooldown_s then leases[#leases + 1] = began end
  end
  return leases
end

local function counted(slices, calls, failed)
  local kept = {}
  for _, one in ipairs(slices) do
    if now - one[1] < window_s then kept[#kept + 1] = one end
  end
  local last = kept[#kept]
  if last and now - last[1] < window_s / SLICES then
    last[2], last[3] = last[2] + calls, last[3] + failed
  else
    kept[#kept + 1] = {now, calls, failed}
  end
  return kept
end

local function over_ratio(state)
  if not ratio then return false end
  local calls, failed = 0, 0
  for _, one in ipairs(state[4]) do
    calls, failed = calls + one[2], failed + one[3]
  end
  return calls >= min_calls and failed >= ratio * calls
end

local function admit(name)
  local state = load(name)
  if state[1] == 'closed' then return answer(false, {}, {state[2]}) end
  local tried = state
  if state[1] == 'open' then
    if now - state[5] < cooldown_s then return answer(false, {}) end
    tried = {'half_open', state[2] + 1, {}, {}, state[5], {}}
  end
  local leases = held(tried)
  if #leases >= half_open then return answer(false, {}) end
  leases[#leases + 1] = now
  tried[6] = leases
  save(name, tried, true)
  return answer(false, {{name, tried}}, {tried[2], now})
end

-- `successes` of the same generation ended before this outcome.
local function report(name, generation, lease, outcome, successes)
  local state = load(name)
  if generation ~= state[2] then return end
  if state[1] == 'half_open' then
    if outcome == 'success' then
      save(name, closed(state[2] + 1), true)
    elseif outcome == 'failure' then
      save(name, opened(state, now), true)
    else
      for n, began in ipairs(state[6]) do
        if began == lease then
          table.remove(state[6], n)
          save(name, state, true)
          break
        end
      end
    end
    return
  end
  if state[1] == 'open' then return end
  if outcome ~= 'failure' and not ratio then return end
  if ratio and successes > 0 then state[4] = counted(state[4], successes, 0) end
  if outcome == 'failure' then
    if ratio then state[4] = counted(state[4], 1, 1) end
    local recent = {}
    for _, at in ipairs(state[3]) do
      if now - at < window_s then recent[#recent + 1] = at end
    end
    recent[#recent + 1] = now
    state[3] = recent
    if #recent >= failures or over_ratio(state) then
      save(name, opened(state, now), true)
      return
    end
  end
  save(name, state, false)
end

-- Everything newer than what the node knows; everything there is where it knows another `fresh`.
local function look(known_fresh, known_version)
  -- A server that is full or a replica takes no failures: whoever only looks has to find that out, too.
  redis.call('HSET', META, 'looked', string.format('%.0f', now))
  local full = known_fresh ~= fresh
  if not full and known_version == version then return answer(false, {}) end
  local names = redis.call('ZRANGEBYSCORE', CHANGES, full and '-inf' or '(' .. known_version, '+inf')
  local changes = {}
  for _, name in ipairs(names) do changes[#changes + 1] = {name, load(name)} end
  return answer(full, changes)
end

-- What a node found to fail while it was alone.
local function merge(found)
  for _, one in ipairs(found) do
    local state = load(one[1])
    if state[1] == 'closed' then save(one[1], opened(state, now - one[2]), true) end
  end
end

if what == 'admit' then
  return admit(ARGV[5])
elseif what == 'report' then
  report(ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9]))
  return
elseif what == 'merge' then
  merge(cmsgpack.unpack(ARGV[5]))
  return
end
return look(tonumber(ARGV[5]), tonumber(ARGV[6]))
