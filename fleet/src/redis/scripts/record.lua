-- Reads the record of the epoch. Keys: epoch, record. Returns nothing if there is none.
local epoch = redis.call('HMGET', KEYS[1], 'number', 'holder')
local record = redis.call('HMGET', KEYS[2], 'number', 'holder', 'record')
if not epoch[1] or epoch[1] ~= record[1] or epoch[2] ~= record[2] then
  return false
end
return record[3]
