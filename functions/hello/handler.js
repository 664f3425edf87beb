const started = performance.now();
let calls = 0;

/** Greets the caller by name: `?name=Ada`, a JSON body with a `name`, or the name as plain text. */
module.exports = async (event) => {
  calls++;
  return {
    message: `${process.env.GREETING || "Hello"}, ${nameOf(event)}!`,
    function: process.env.OPENFAAS_NAME,
    node: process.version,
    replica: { pid: process.pid, calls, upSeconds: Math.round(performance.now() - started) / 1000 },
  };
};

function nameOf({ query, body }) {
  const name = query.name ?? (typeof body === "string" ? body : body?.name);
  return typeof name === "string" && name.trim() !== "" ? name.trim() : "world";
}
