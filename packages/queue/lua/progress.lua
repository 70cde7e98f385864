-- Records how far an attempt has come, and what it counts for in its tenant's quota, unless it is no longer the job's.
-- KEYS  1 record
-- ARGV  2 token  3 pages in all  4 pages done  5 pages failed  6 megapixels so far  7 largest debt of a tenant
--       8 number of a page that can be read from now on, or ''  9 its mark (kept-pages.ts)
-- Returns 'ok', 'fenced' or 'canceling': nobody wants the result any more.
-- What documents have on average, of late: both sums are halved now and then, so that the past fades.
local function countPages(pages)
  local seen = key('document-pages')
  redis.call('HINCRBY', seen, 'pages', pages)
  if redis.call('HINCRBY', seen, 'documents', 1) < 1000 then
    return
  end
  for _, sum in ipairs({ 'pages', 'documents' }) do
    redis.call('HSET', seen, sum, math.floor(tonumber(redis.call('HGET', seen, sum)) / 2))
  end
end

local record = redis.call('HMGET', KEYS[1], 'token', 'status', 'tenant', 'id', 'heldPages', 'heldMegapixels', 'pagesLeft')
if record[1] ~= ARGV[2] then
  return 'fenced'
end
local pages, megapixels, tenant = tonumber(ARGV[3]), tonumber(ARGV[6]), record[3]
local left = math.max(0, pages - tonumber(ARGV[4]) - tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'pagesTotal', pages, 'pagesDone', ARGV[4], 'pagesFailed', ARGV[5], 'heldPages', pages,
  'heldMegapixels', ARGV[6], 'pagesLeft', left)
addUsage(tenant, 0, pages - tonumber(record[5] or '0'), megapixels - tonumber(record[6] or '0'))
addLoad(0, record[7] and 0 or 1, left - tonumber(record[7] or '0'))
if not record[5] then
  countPages(pages)
end
if not record[5] and pages > 1 and redis.call('EXISTS', key('backlog', tenant, 'normal'), key('backlog', tenant, 'low')) > 0 then
  local debt = tonumber(redis.call('HGET', key('debts'), tenant) or '0')
  redis.call('HSET', key('debts'), tenant, math.min(debt + pages - 1, tonumber(ARGV[7])))
end
if ARGV[8] ~= '' then
  redis.call('BITFIELD', key('pages', record[4]), 'SET', 'u2', '#' .. ARGV[8], ARGV[9])
end
announce(KEYS[1], record[4], record[2])
return record[2] == 'canceling' and 'canceling' or 'ok'
