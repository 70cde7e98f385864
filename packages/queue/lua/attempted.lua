-- Notes an attempt at a delivery to an endpoint in that endpoint's log, and what it says of the endpoint. One whose
-- receiver is gone, or that gave nothing but failures for too long when a delivery is given up, is disabled in the
-- same step that tells the tenant's other endpoints.
-- KEYS  1 endpoint  2 its log  3 outbox
-- ARGV  2 tenant  3 delivery id  4 now (ms)
--       5 verdict: succeeded, failed (another attempt follows), spent (none does), gone, or unsent (says nothing)
--       6 attempt as JSON  7 reason for which it would be disabled  8 event of that
--       9 failures for so long disable (ms)  10 deliveries kept  11 kept for (ms)  12 attempts kept
--       13.. fields of the delivery and their values
-- Returns 'ok', 'disabled', or 'missing' when the endpoint was deleted.
local endpoint = redis.call('HMGET', KEYS[1], 'enabled', 'failingSince')
if not endpoint[1] then
  return 'missing'
end
local id, now, lifetime = ARGV[3], tonumber(ARGV[4]), ARGV[11]

local delivery, attempts = key('delivery', id), key('delivery', id, 'attempts')
redis.call('HSET', delivery, unpack(ARGV, 13))
redis.call('PEXPIRE', delivery, lifetime)
redis.call('RPUSH', attempts, ARGV[6])
redis.call('LTRIM', attempts, -tonumber(ARGV[12]), -1)
redis.call('PEXPIRE', attempts, lifetime)
redis.call('ZADD', KEYS[2], now, id)
redis.call('PEXPIRE', KEYS[2], lifetime)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(lifetime))
for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, -tonumber(ARGV[10]) - 1)) do
  redis.call('DEL', key('delivery', old), key('delivery', old, 'attempts'))
  redis.call('ZREM', KEYS[2], old)
end

local verdict = ARGV[5]
if verdict == 'unsent' then
  return 'ok'
end
if verdict == 'succeeded' then
  redis.call('HSET', KEYS[1], 'failingSince', '')
  return 'ok'
end
local since = tonumber(endpoint[2] or '')
if not since then
  since = now
  redis.call('HSET', KEYS[1], 'failingSince', ARGV[4])
end
local over = verdict == 'gone' or (verdict == 'spent' and now - since >= tonumber(ARGV[9]))
if not over or endpoint[1] ~= '1' then
  return 'ok'
end
redis.call('HSET', KEYS[1], 'enabled', '0', 'disabledAt', ARGV[4], 'disabledReason', ARGV[7])
if redis.call('ZCARD', key('tenant-endpoints', ARGV[2])) > 1 then
  redis.call('XADD', KEYS[3], '*', 'event', ARGV[8])
end
return 'disabled'
