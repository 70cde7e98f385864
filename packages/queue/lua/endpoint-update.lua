-- Changes fields of a webhook endpoint. Enabling it anew forgets why it was disabled and its failures until then.
-- KEYS  1 endpoint
-- ARGV  2 tenant  3 now (ms)  4 '1' to enable, '0' to disable, or ''  5.. fields and their values
-- Returns 'ok', or 'missing' when it is not that tenant's.
local endpoint = redis.call('HMGET', KEYS[1], 'tenant', 'enabled')
if endpoint[1] ~= ARGV[2] then
  return 'missing'
end
if #ARGV > 4 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 5))
end
if ARGV[4] == '1' and endpoint[2] == '0' then
  redis.call('HSET', KEYS[1], 'enabled', '1', 'disabledReason', '', 'disabledAt', '', 'failingSince', '')
elseif ARGV[4] == '0' and endpoint[2] == '1' then
  redis.call('HSET', KEYS[1], 'enabled', '0', 'disabledReason', 'requested', 'disabledAt', ARGV[3])
end
return 'ok'
