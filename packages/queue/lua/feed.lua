-- Takes jobs out of the backlog for BullMQ's queue while that is short: tenants in turn, one document a turn. A
-- tenant whose documents turned out to have many pages waits out as many turns (deficit round robin, Shreedhar and
-- Varghese 1995, the cost charged once it is known). What is taken is under a lease: a feeder that dies in between
-- leaves it to the next. While the queue is paused nothing is taken.
-- KEYS  1 lease set
-- ARGV  2 lease (ms)  3 length up to which BullMQ's queue is filled  4 most jobs to take
-- Returns how many jobs had ended while they waited and are gone, then id, tenant, priority, round of each job taken.
local now, lease, most = clockMs(), tonumber(ARGV[2]), tonumber(ARGV[4])
local taken, gone = { 0 }, 0
if redis.call('HEXISTS', key('documents', 'meta'), 'paused') == 1 then
  return taken
end
-- A name is a job's of one round, as in BullMQ: what is left over of an earlier round is no longer of use.
local function take(name)
  local id, round = string.match(name, '^([^.]+)%.?(%d*)$')
  local record = redis.call('HMGET', key('job', id), 'status', 'tenant', 'priority', 'round')
  round = round == '' and '0' or round
  if not isOpen(record[1]) or (record[4] or '0') ~= round then
    redis.call('ZREM', KEYS[1], name)
    gone = gone + 1
    return false
  end
  redis.call('ZADD', KEYS[1], now + lease, name)
  for _, value in ipairs({ id, record[2], record[3] or 'normal', round }) do
    taken[#taken + 1] = value
  end
  return true
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  take(name)
end
local room = math.min(most - (#taken - 1) / 4, tonumber(ARGV[3]) - queueLength())
-- Turns that are waited out and jobs that have ended move nothing: what is looked at in one call is bounded.
local turns = 2000
while room > 0 and turns > 0 do
  turns = turns - 1
  local tenant = redis.call('LPOP', key('backlog-tenants'))
  if not tenant then
    break
  end
  local debt = tonumber(redis.call('HGET', key('debts'), tenant) or '0')
  if debt > 0 and redis.call('LLEN', key('backlog-tenants')) > 0 then
    redis.call('HINCRBY', key('debts'), tenant, -1)
    redis.call('RPUSH', key('backlog-tenants'), tenant)
  else
    repeat
      local id = redis.call('LPOP', key('backlog', tenant, 'normal')) or redis.call('LPOP', key('backlog', tenant, 'low'))
      local isTaken = id and take(id)
      if id then
        redis.call('DECR', key('backlog-size'))
        turns = turns - 1
      end
      if isTaken then
        room = room - 1
      end
    until isTaken or not id or turns <= 0
    if redis.call('EXISTS', key('backlog', tenant, 'normal'), key('backlog', tenant, 'low')) > 0 then
      redis.call('RPUSH', key('backlog-tenants'), tenant)
    else
      redis.call('HDEL', key('debts'), tenant)
    end
  end
end
taken[1] = gone
return taken
