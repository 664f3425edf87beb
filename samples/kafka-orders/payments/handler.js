module.exports = async ({ cloudEvent }) => {
  console.log(`payments: ${cloudEvent.id} ${cloudEvent.partitionkey ?? ""}`);
};
