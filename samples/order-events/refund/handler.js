module.exports = async ({ cloudEvent }) => {
  console.log(`refund ${cloudEvent.subject}: ${cloudEvent.data.total}`);
};
