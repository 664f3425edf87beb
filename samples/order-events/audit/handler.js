module.exports = async ({ cloudEvent }) => {
  console.log(`audit ${cloudEvent.type} ${cloudEvent.subject} from ${cloudEvent.source}`);
};
