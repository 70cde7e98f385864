-- How a queue stands, at one instant.
-- KEYS  1 outbox
-- ARGV  2 name of the queue  3 now (ms)  4 the priorities that BullMQ sorts by, as a list with commas
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
-- A job that is done again waits since BullMQ got it; another since it was submitted.
local function seenJob(bullId)
  local record = bullId and redis.call('HMGET', key('job', bullId), 'createdAt', 'status')
  if record and record[1] then
    seen(isOpen(record[2]) and record[1])
  elseif bullId then
    seen(redis.call('HGET', part(bullId), 'timestamp'))
  end
end

seenJob(redis.call('LINDEX', part('wait'), -1))
-- BullMQ's score of a prioritized job is its priority, times 2^32, and a counter.
for priority in string.gmatch(ARGV[4], '%d+') do
  local from, to = tonumber(priority) * 4294967296, (tonumber(priority) + 1) * 4294967296
  seenJob(redis.call('ZRANGEBYSCORE', part('prioritized'), string.format('%.0f', from),
    '(' .. string.format('%.0f', to), 'LIMIT', 0, 1)[1])
end
local backlog
if name == 'documents' then
  backlog = tonumber(redis.call('GET', key('backlog-size')) or '0') + redis.call('ZCARD', key('feeding'))
  for _, tenant in ipairs(redis.call('LRANGE', key('backlog-tenants'), 0, 999)) do
    for _, priority in ipairs({ 'normal', 'low' }) do
      local id = redis.call('LINDEX', key('backlog', tenant, priority), 0)
      seen(id and redis.call('HGET', key('job', id), 'createdAt'))
    end
  end
else
  backlog = redis.call('XLEN', KEYS[1])
  local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  -- An entry's id begins with the time it was written.
  seen(entry and string.match(entry[1], '^%d+'))
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
