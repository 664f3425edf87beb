const STOCK = { apple: 10, pear: 0 };

// What is thrown is a 500, which is tried again. A typed error is an answer, and says by its status that it is final.
module.exports = async ({ cloudEvent }, context) => {
  const { item, count } = cloudEvent.data;
  if ((STOCK[item] ?? 0) < count) {
    return context
      .status(422)
      .headers({ "Content-Type": "application/json" })
      .succeed({
        errorType: "OutOfStock",
        cause: `${count} of ${item} are wanted, and there are ${STOCK[item] ?? 0}`,
      });
  }
  return { ...cloudEvent, type: "order.checked" };
};
