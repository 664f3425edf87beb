// `event`: body, headers, method, query, path. What is returned is the answer: an object becomes JSON.
// `context`: status(code), headers({}), succeed(value), fail(error), secret(name).
module.exports = async (event, context) => {
  context.status(200);
  return {
    received: event.body ?? null,
    contentType: event.headers["content-type"] ?? null,
    method: event.method,
    path: event.path,
  };
};
