const PRICES = { apple: 3, pear: 4 };

module.exports = async ({ cloudEvent }) => {
  const { item, count } = cloudEvent.data;
  return { ...cloudEvent, type: "order.priced", data: { ...cloudEvent.data, total: PRICES[item] * count } };
};
