-- Takes back the reservation of an idempotency key whose request was refused.
-- KEYS  1 idempotency key
-- ARGV  2 job id
local held = redis.call('HMGET', KEYS[1], 'job', 'done')
if held[1] == ARGV[2] and not held[2] then
  redis.call('DEL', KEYS[1])
end
return 'ok'
