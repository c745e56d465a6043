-- The counters of all nodes. KEYS: one per slot, `llmgw:{slot}:life`, whose value names the slot's present life; all
-- else of the slot has that name in its own, so that a new life begins with nothing. ARGV[1]: msgpack, by verb.
--
-- The algorithm is that of llmgw/rules/window.py and llmgw/stock/counters.py, and must stay so: numbers are doubles,
-- exact up to 2^53, and times the caller's, never the server's. A counter is a hash: `c` is its head, the others are
-- the entries of a window by their number, which is the ticket of those who took from it.
local WINDOW, CALENDAR = 0, 1
local EXACT, GRAIN, GRAVE_S = 64, 1 / 64, 3600
local call, pack, unpack_ = redis.call, struct.pack, struct.unpack

local function field(n) return string.format('%.0f', n) end

local function entry(key, n)
  return unpack_('<dddd', call('HGET', key, field(n)))
end

local function head(key)
  local raw = call('HGET', key, 'c')
  if not raw then return nil end
  local c = {}
  -- `at`: of a window when its oldest entry leaves, less its length; of a calendar the beginning of its period.
  c.settled, c.held, c.first, c.next, c.at, c.mark, c.renew, c.left = unpack_('<dddddddd', raw)
  return c
end

local function fresh(mark)
  return {settled = 0, held = 0, first = 0, next = 0, at = 0, mark = mark, renew = -math.huge, left = 0}
end

local function save(key, c, ...)
  call('HSET', key, 'c', pack('<dddddddd', c.settled, c.held, c.first, c.next, c.at, c.mark, c.renew, c.left), ...)
end

local function keep(key, c, now, ttl)
  if now >= c.renew then
    c.renew = now + ttl
    return true
  end
end

-- What has left the window leaves the sums.
local function pass(key, c, now, length)
  local gone = false
  while c.first < c.next and now - c.at >= length do
    local _, _, settled, held = entry(key, c.first)
    c.settled, c.held = c.settled - settled, c.held - held
    call('HDEL', key, field(c.first))
    c.first, c.left = c.first + 1, 1
    if c.first < c.next then
      local _, latest = entry(key, c.first)
      c.at = latest
    end
    gone = true
  end
  if gone then save(key, c) end
end

local function current(key, c, limit, now)
  if limit[2] == WINDOW then
    pass(key, c, now, limit[5])
  elseif limit[2] == CALENDAR and limit[5] > c.at then
    c.at, c.settled, c.held = limit[5], 0, 0
  end
end

-- At the time `t`, which may lie before what is there already; then it leaves later rather than sooner.
local function insert(key, c, length, t, settled, held)
  c.settled, c.held = c.settled + settled, c.held + held
  local count, n = c.next - c.first, c.next
  local since, latest, s, h = t, t, 0, 0
  if count > 0 then
    local last_since, last_latest, last_s, last_h = entry(key, n - 1)
    if t >= last_latest then
      if count >= EXACT and t - last_since < length * GRAIN then
        n, since, s, h = n - 1, last_since, last_s, last_h
      end
    else
      local first_since = entry(key, c.first)
      if t < first_since and count < EXACT and c.left == 0 then
        n, c.first = c.first - 1, c.first - 1
      else
        n = c.first
        since, latest, s, h = entry(key, n)
        while latest < t do
          n = n + 1
          since, latest, s, h = entry(key, n)
        end
      end
    end
  end
  call('HSET', key, field(n), pack('<dddd', since, latest, s + settled, h + held))
  if n == c.first then c.at = latest end
  if n == c.next then c.next = n + 1 end
  return n
end

local function take(key, c, limit, now, amount)
  if limit[2] == WINDOW then return insert(key, c, limit[5], now, 0, amount) end
  c.held = c.held + amount
  return limit[2] == CALENDAR and c.at or 0
end

local function replace(key, kind, ticket, held, settled)
  if held == 0 and settled == 0 then return end
  local c = head(key)
  if not c then return end
  if kind == WINDOW then
    if ticket < c.first or ticket >= c.next then return end
    local since, latest, s, h = entry(key, ticket)
    call('HSET', key, field(ticket), pack('<dddd', since, latest, s + settled, h - held))
  elseif kind == CALENDAR then
    if ticket ~= c.at then return end
  else
    settled = 0
  end
  c.held, c.settled = c.held - held, c.settled + settled
  save(key, c)
end

-- A hold: {expires_at, 1 once expired, {what it holds of each unit}, {name, kind, unit, ticket, ...}}
local function replace_all(slot, hold, used)
  local held, flat = hold[3], hold[4]
  for n = 1, #flat, 4 do
    local unit = flat[n + 2]
    replace(slot .. flat[n], flat[n + 1], flat[n + 3], held[unit], used[unit])
  end
end

local function sweep(slot, now)
  while true do
    local due = call('ZRANGEBYSCORE', slot .. 'ends', '-inf', now, 'LIMIT', 0, 64)
    for _, id in ipairs(due) do
      local raw = call('HGET', slot .. 'holds', id)
      local hold = raw and cmsgpack.unpack(raw)
      if hold and hold[2] == 0 then
        replace_all(slot, hold, {1, 0, 0, 0})
        hold[2], hold[3] = 1, {0, 0, 0, 0}
        call('HSET', slot .. 'holds', id, cmsgpack.pack(hold))
        call('ZADD', slot .. 'ends', now + GRAVE_S, id)
      else
        call('HDEL', slot .. 'holds', id)
        call('ZREM', slot .. 'ends', id)
      end
    end
    if #due < 64 then return end
  end
end

local function enter(slot, clock, renew, ttl, id, hold)
  local due = clock >= renew
  if due then renew = clock + ttl end
  call('HSET', slot .. 'holds', 'clock', pack('<dd', clock, renew), id, cmsgpack.pack(hold))
  call('ZADD', slot .. 'ends', hold[1], id)
  if due then
    call('PEXPIRE', slot .. 'holds', ttl * 4000)
    call('PEXPIRE', slot .. 'ends', ttl * 4000)
  end
end

local function clock_of(raw)
  if not raw then return -math.huge, -math.huge end
  return unpack_('<dd', raw)
end

local function store(key, c, now, ttl)
  local renew = keep(key, c, now, ttl)
  save(key, c)
  if renew then call('PEXPIRE', key, ttl * 4000) end
end

-- Seconds until nothing is left of it; -1 where that never comes.
local function empty_in(key, c, limit, now)
  if limit[2] == WINDOW then
    for n = c.next - 1, c.first, -1 do
      local _, latest, settled, held = entry(key, n)
      if settled + held ~= 0 then return limit[5] - (now - latest) end
    end
    return 0
  elseif limit[2] == CALENDAR then
    if c.settled + c.held == 0 then return 0 end
    return limit[6] == math.huge and -1 or limit[6] - now
  end
  return 0
end

-- Seconds until there is room; -1 where that never comes.
local function free_in(key, c, limit, now, need)
  local amount = limit[4]
  if need > amount then return -1 end
  if limit[2] == WINDOW then
    local over, free = c.settled + c.held + need - amount, 0
    for n = c.first, c.next - 1 do
      if over <= 0 then break end
      local _, latest, settled, held = entry(key, n)
      over = over - settled - held
      free = limit[5] - (now - latest)
    end
    if limit[3] ~= 1 and c.settled + need <= amount then return math.min(free, 1) end
    return free
  elseif limit[2] == CALENDAR then
    if c.settled + need <= amount then return 1 end
    return empty_in(key, c, limit, now)
  end
  return 1
end

local verbs = {}

-- {now, mark, ttl, id, expires_at, {held of each unit}, {{limit, ...} of each slot}}
-- A limit: {name, kind, unit, amount, length or beginning of the period, its end, 1 where the ledger knows it}
function verbs.reserve(ask)
  local now, mark, ttl, id, expires, held, slots = unpack(ask)
  local given = now
  local names, clocks, renews, lives = {}, {}, {}, {}
  for i, life_key in ipairs(KEYS) do
    local slot = string.sub(life_key, 1, -5)
    local found = call('MGET', life_key, slot .. 'grace')
    if not found[1] then return {'dead', i} end
    if found[2] then return {'grace', i, found[1]} end
    lives[i] = found[1]
    names[i] = slot .. found[1] .. ':'
    found = call('HMGET', names[i] .. 'holds', 'clock', id)
    if found[2] then return {'twice'} end
    clocks[i], renews[i] = clock_of(found[1])
    now = math.max(now, clocks[i])
  end
  local counters, unknown, refused = {}, {}, false
  for i, slot in ipairs(names) do
    counters[i] = {}
    for j, limit in ipairs(slots[i]) do
      if limit[2] == CALENDAR and now >= limit[6] then return {'late', string.format('%.17g', now)} end
    end
  end
  for i, slot in ipairs(names) do
    sweep(slot, now)
    for j, limit in ipairs(slots[i]) do
      local key = slot .. limit[1]
      local c = head(key)
      if not c then
        c = fresh(limit[7] == 1 and mark or 0)
        if limit[2] == CALENDAR then c.at = limit[5] end
        if c.mark ~= 0 then store(key, c, now, ttl + (limit[2] == WINDOW and limit[5] or 0)) end
      end
      if c.mark ~= 0 then
        unknown[#unknown + 1] = i
        unknown[#unknown + 1] = j
        unknown[#unknown + 1] = string.format('%.0f', c.mark)
      end
      current(key, c, limit, now)
      counters[i][j] = c
      local need = held[limit[3]]
      if c.settled + c.held + (need == 0 and 1 or need) > limit[4] then refused = true end
    end
  end
  if #unknown > 0 then return {'unknown', lives, unknown} end
  local facts = {}
  for i, slot in ipairs(names) do
    local flat = {}
    for j, limit in ipairs(slots[i]) do
      local key, c, amount, free = slot .. limit[1], counters[i][j], held[limit[3]], -2
      if refused then
        local need = amount == 0 and 1 or amount
        if c.settled + c.held + need > limit[4] then free = free_in(key, c, limit, now, need) end
      else
        local n = #flat
        flat[n + 1], flat[n + 2], flat[n + 3] = limit[1], limit[2], limit[3]
        flat[n + 4] = take(key, c, limit, now, amount)
        store(key, c, now, ttl + (limit[2] == WINDOW and limit[5] or 0))
      end
      facts[#facts + 1] = pack('<dddd', c.settled, c.held, empty_in(key, c, limit, now), free)
    end
    if not refused then
      local hold = {expires + now - given, 0, held, flat}
      enter(slot, now, renews[i], ttl, id, hold)
    elseif now > clocks[i] then
      call('HSET', slot .. 'holds', 'clock', pack('<dd', now, renews[i]))
    end
  end
  return {refused and 'no' or 'ok', lives, table.concat(facts), string.format('%.17g', now)}
end

local function finish(slot, op)
  local kind, id = op[1], op[2]
  local raw = call('HGET', slot .. 'holds', id)
  if kind == 3 then  -- a hold of another life, or of a node that was alone: {3, id, time, ttl, expires_at, held, limits}
    if raw then return end
    local _, _, time, ttl, expires, held, limits = unpack(op)
    local flat = {}
    local clock, renew = clock_of(call('HGET', slot .. 'holds', 'clock'))
    for _, limit in ipairs(limits) do
      local key, n = slot .. limit[1], #flat
      local c = head(key)
      if not c then
        c = fresh(limit[7])
        if limit[2] == CALENDAR then c.at = limit[5] end
      end
      flat[n + 1], flat[n + 2], flat[n + 3], flat[n + 4] = limit[1], limit[2], limit[3], 0
      if limit[2] ~= CALENDAR or limit[5] >= c.at then
        current(key, c, limit, math.max(clock, time))
        flat[n + 4] = take(key, c, limit, time, held[limit[3]])
      end
      store(key, c, math.max(clock, time), ttl + (limit[2] == WINDOW and limit[5] or 0))
    end
    return enter(slot, math.max(clock, time), renew, ttl, id, {expires, 0, held, flat})
  end
  if not raw then return end
  local hold = cmsgpack.unpack(raw)
  local held = hold[3]
  if kind == 0 then  -- leave: {0, id, tokens or -1, cost or -1}
    if hold[2] == 1 then return end
    local left = {held[1], op[3] < 0 and held[2] or op[3], op[4] < 0 and held[3] or op[4], 0}
    local flat = hold[4]
    for n = 1, #flat, 4 do
      local unit = flat[n + 2]
      replace(slot .. flat[n], flat[n + 1], flat[n + 3], held[unit] - left[unit], 0)
    end
    hold[3] = left
    call('HSET', slot .. 'holds', id, cmsgpack.pack(hold))
    return
  end
  if kind == 1 then  -- settle: {1, id, tokens, cost}
    replace_all(slot, hold, {held[1], op[3], op[4], 0})
  else  -- release: {2, id}; the request of one that expired is settled already, and is taken back
    replace_all(slot, hold, {held[1] - 1, 0, 0, 0})
  end
  call('HDEL', slot .. 'holds', id)
  call('ZREM', slot .. 'ends', id)
end

-- {{op, ...} of each slot}
verbs['end'] = function(ask)
  local lives = {}
  for i, life_key in ipairs(KEYS) do
    local life = call('GET', life_key)
    lives[i] = life
    if life then
      local slot = string.sub(life_key, 1, -5) .. life .. ':'
      for _, op in ipairs(ask[1][i]) do finish(slot, op) end
    end
  end
  return lives
end

-- {limit, mark, what a calendar has, {time, amount, ...} of a window}: added once, to whom that mark was given.
function verbs.seed(ask)
  local limit, mark, amount, slices = unpack(ask)
  local life = call('GET', KEYS[1])
  if not life then return 0 end
  local key = string.sub(KEYS[1], 1, -5) .. life .. ':' .. limit[1]
  local c = head(key)
  if not c or c.mark ~= mark then return 0 end
  if limit[2] == WINDOW then
    for n = #slices - 1, 1, -2 do insert(key, c, limit[5], slices[n], slices[n + 1], 0) end
  elseif limit[5] == c.at then
    c.settled = c.settled + amount
  end
  c.mark = 0
  save(key, c)
  return 1
end

-- {new life, milliseconds of grace, 1 where the life that there is, is not to go on}
function verbs.begin(ask)
  local slot = string.sub(KEYS[1], 1, -5)
  local life = call('GET', KEYS[1])
  if life and (ask[3] == 0 or call('EXISTS', slot .. 'grace') == 1) then return life end
  call('SET', KEYS[1], ask[1])
  if ask[2] > 0 then call('SET', slot .. 'grace', '1', 'PX', ask[2]) end
  return ask[1]
end

function verbs.lives()
  local lives = {}
  for i, key in ipairs(KEYS) do lives[i] = call('GET', key) end
  return lives
end

-- {node, seconds that a beat counts}: how many nodes there are.
function verbs.beat(ask)
  redis.replicate_commands()
  local time = tonumber(call('TIME')[1])
  call('ZADD', KEYS[1], time, ask[1])
  call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time - ask[2])
  call('EXPIRE', KEYS[1], 3600)
  return call('ZCARD', KEYS[1])
end

local ask = cmsgpack.unpack(ARGV[1])
return verbs[table.remove(ask, 1)](ask)
