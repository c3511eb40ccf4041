-- Asks the learner and all actors of an epoch to end. Keys: epoch, stop. Arguments: number of the epoch.
local number = redis.call('HGET', KEYS[1], 'number')
if number == ARGV[1] then
  redis.call('DEL', KEYS[2])
  redis.call('SET', KEYS[2], number)
end
return 1
