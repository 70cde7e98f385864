-- Records how far an attempt has come, and what it counts for in its tenant's quota, unless it is no longer the job's.
-- KEYS  1 record
-- ARGV  2 token  3 pages in all  4 pages done  5 pages failed  6 megapixels so far  7 largest debt of a tenant
--       8 number of a page that can be read from now on, or ''  9 its mark (kept-pages.ts)
-- Returns 'ok', 'fenced' or 'canceling': nobody wants the result any more.
local record = redis.call('HMGET', KEYS[1], 'token', 'status', 'tenant', 'id', 'heldPages', 'heldMegapixels')
if record[1] ~= ARGV[2] then
  return 'fenced'
end
local pages, megapixels, tenant = tonumber(ARGV[3]), tonumber(ARGV[6]), record[3]
redis.call('HSET', KEYS[1], 'pagesTotal', pages, 'pagesDone', ARGV[4], 'pagesFailed', ARGV[5], 'heldPages', pages,
  'heldMegapixels', ARGV[6])
addUsage(tenant, 0, pages - tonumber(record[5] or '0'), megapixels - tonumber(record[6] or '0'))
if not record[5] and pages > 1 and redis.call('EXISTS', key('backlog', tenant, 'normal'), key('backlog', tenant, 'low')) > 0 then
  local debt = tonumber(redis.call('HGET', key('debts'), tenant) or '0')
  redis.call('HSET', key('debts'), tenant, math.min(debt + pages - 1, tonumber(ARGV[7])))
end
if ARGV[8] ~= '' then
  redis.call('BITFIELD', key('pages', record[4]), 'SET', 'u2', '#' .. ARGV[8], ARGV[9])
end
announce(KEYS[1], record[4], record[2])
return record[2] == 'canceling' and 'canceling' or 'ok'
