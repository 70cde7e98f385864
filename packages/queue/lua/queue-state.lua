-- How a queue stands, at one instant.
-- KEYS  1 outbox
-- ARGV  2 name of the queue  3 now (ms)
-- Returns waiting, backlog, active, delayed, paused (0 or 1), time since which the oldest waits (ms) or '', ended in
-- the last minute as BullMQ knows it.
local name, now = ARGV[2], tonumber(ARGV[3])
local function part(...)
  return key(name, ...)
end

local oldest
local function seen(time)
  time = tonumber(time)
  if time and (not oldest or time < oldest) then
    oldest = time
  end
end
local backlog
if name == 'documents' then
  backlog = tonumber(redis.call('GET', key('backlog-size')) or '0') + redis.call('ZCARD', key('feeding'))
  seen(redis.call('ZRANGE', key('waiting'), 0, 0, 'WITHSCORES')[2])
else
  backlog = redis.call('XLEN', KEYS[1])
  local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  -- An entry's id begins with the time it was written.
  seen(entry and string.match(entry[1], '^%d+'))
  local delivery = redis.call('LINDEX', part('wait'), -1)
  seen(delivery and redis.call('HGET', part(delivery), 'timestamp'))
end
local minuteAgo = now - 60000
return {
  redis.call('LLEN', part('wait')) + redis.call('LLEN', part('paused')) + redis.call('ZCARD', part('prioritized')),
  backlog,
  redis.call('LLEN', part('active')),
  redis.call('ZCARD', part('delayed')),
  redis.call('HEXISTS', part('meta'), 'paused'),
  oldest and string.format('%.0f', oldest) or '',
  redis.call('ZCOUNT', part('completed'), minuteAgo, '+inf') + redis.call('ZCOUNT', part('failed'), minuteAgo, '+inf'),
}
