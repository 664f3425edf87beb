// An old function: it knows nothing of events.
module.exports = async ({ body, headers }) => {
  console.log(`${headers["x-topic"]}: ${typeof body === "string" ? body : JSON.stringify(body)}`);
  return "stored";
};
