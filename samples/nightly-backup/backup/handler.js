module.exports = async ({ body, cloudEvent }) => {
  console.log(`backup of ${body.database}, planned for ${cloudEvent.time}`);
  return { done: true };
};
