-- For wrk: posts a body of as many bytes as the argument says.
wrk.method = "POST"

function init(args)
  wrk.body = string.rep("x", tonumber(args[1]))
end
