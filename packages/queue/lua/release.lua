-- Ends an attempt without ending the job: it goes back to the queue.
-- KEYS  1 record
-- ARGV  1 token
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'status', 'queued')
redis.call('HDEL', KEYS[1], 'token', 'begunBy')
return 'ok'
