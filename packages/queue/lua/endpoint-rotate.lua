-- Gives a webhook endpoint a new secret; the one before goes on to sign until its time is over.
-- KEYS  1 endpoint
-- ARGV  2 tenant  3 sealed secret  4 end of the secret before (ms)
-- Returns 'ok', or 'missing' when it is not that tenant's.
local endpoint = redis.call('HMGET', KEYS[1], 'tenant', 'secret')
if endpoint[1] ~= ARGV[2] then
  return 'missing'
end
redis.call('HSET', KEYS[1], 'secret', ARGV[3], 'previousSecret', endpoint[2], 'previousUntil', ARGV[4])
return 'ok'
