-- What wrk sends: one operation, or a mix of them, by users in random order, each about a task of theirs.
-- Arguments: a file of people, the operation, the media type of a patch, the seed, and what a mix is made of: `get=40` …
-- A line of that file is a token and the ids of tasks, with spaces in between.

local random, format = math.random, string.format
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  statuses = {}
  people = {}
  for line in io.lines(args[1]) do
    local person = { tasks = {} }
    for word in line:gmatch("%S+") do
      if person.token then
        table.insert(person.tasks, word)
      else
        person.token = "Bearer " .. word
      end
    end
    table.insert(people, person)
  end
  operation, patch_type = args[2], args[3]
  math.randomseed(tonumber(args[4]))
  hundred = {}
  for index = 5, #args do
    local name, share = args[index]:match("(%a+)=(%d+)")
    for _ = 1, tonumber(share) do
      table.insert(hundred, name)
    end
  end
end

local made = 0

local operations = {
  list = function(person)
    return wrk.format("GET", "/v1/tasks?limit=50", { Authorization = person.token })
  end,
  get = function(person)
    return wrk.format("GET", "/v1/tasks/" .. person.tasks[random(#person.tasks)], { Authorization = person.token })
  end,
  create = function(person)
    made = made + 1
    local headers = { Authorization = person.token, ["Content-Type"] = "application/json" }
    return wrk.format("POST", "/v1/tasks", headers, format([[{"title": "Pay rent %d", ]]
      .. [["notes": "The landlord changed banks", "priority": "high", ]]
      .. [["due": {"date": "2026-12-01"}, "metadata": {"source": "mail"}}]], made))
  end,
  patch = function(person)
    made = made + 1
    local headers = { Authorization = person.token, ["Content-Type"] = patch_type }
    -- The number makes a change of it.
    return wrk.format("PATCH", "/v1/tasks/" .. person.tasks[random(#person.tasks)], headers,
      format([[{"title": "Pay rent %d", "priority": "low", "due": {"date": "2026-12-03"}}]], made))
  end,
}

function operations.mixed(person)
  return operations[hundred[random(#hundred)]](person)
end

function request()
  return operations[operation](people[random(#people)])
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
  local counted = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      counted[status] = (counted[status] or 0) + count
    end
  end
  local pairs_of = {}
  for status, count in pairs(counted) do
    table.insert(pairs_of, format('"%d": %d', status, count))
  end
  local e = summary.errors
  io.write(format('{"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p95": %d, "p99": %d, '
    .. '"statuses": {%s}, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    table.concat(pairs_of, ", "), e.connect, e.read, e.write, e.timeout))
end
