-- Takes a job out of its attempt's hands, to cancel it or because its deadline has passed. One that waits is taken
-- over: who took it commits its end with the token. Of one that runs, the attempt is told.
-- KEYS  1 record
-- ARGV  2 token of the taker  3 'cancel' or 'expire'  4 tenant, or '' for any
-- Returns {'missing'}, {'final', status}, {'told'} or {'taken', tenant, task, round}.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'task', 'round', 'id', 'deadline')
local status = record[1]
if not status or (ARGV[4] ~= '' and record[2] ~= ARGV[4]) then
  return { 'missing' }
end
-- Asked for again since it was found to be late, a job has no deadline any more.
if ARGV[3] == 'expire' and not record[6] then
  return { 'missing' }
end
if not isOpen(status) then
  return { 'final', status }
end
if status == 'queued' then
  -- Should the taker die now, a worker claims the job and finds what has to be done: the state, or the deadline.
  redis.call('HSET', KEYS[1], 'token', ARGV[2])
  if ARGV[3] == 'cancel' then
    redis.call('HSET', KEYS[1], 'status', 'canceling')
    countInBatch(KEYS[1], 'queued', 'canceling')
  end
  return { 'taken', record[2], record[3], record[4] or '0' }
end
if ARGV[3] == 'cancel' then
  redis.call('HSET', KEYS[1], 'status', 'canceling')
  countInBatch(KEYS[1], status, 'canceling')
  announce(KEYS[1], record[5], 'canceling')
  redis.call('PUBLISH', key('cancel'), record[5])
end
return { 'told' }
