-- Reserves an idempotency key for what a request is about to submit.
-- KEYS  1 idempotency key
-- ARGV  2 fingerprint of the request  3 id of that  4 lifetime of the reservation (ms)
-- Returns {'reserved'}, {'reused'}: by another request, {'pending'}: by one still running, or {'done', id}.
local held = redis.call('HMGET', KEYS[1], 'fingerprint', 'job', 'done')
if not held[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'job', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return { 'reserved' }
end
if held[1] ~= ARGV[2] then
  return { 'reused' }
end
if held[3] then
  return { 'done', held[2] }
end
return { 'pending' }
