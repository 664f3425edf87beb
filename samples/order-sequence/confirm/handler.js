module.exports = async ({ cloudEvent }) => {
  console.log(`confirmed ${cloudEvent.subject}: ${cloudEvent.data.total}`);
  return { ...cloudEvent, type: "order.confirmed", source: "/orders" };
};
