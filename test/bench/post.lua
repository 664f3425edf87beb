-- For wrk: posts a body of 256 bytes.
wrk.method = "POST"
wrk.body = string.rep("x", 256)
