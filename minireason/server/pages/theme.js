// Runs before anything is drawn, so that a page that is to be dark never flashes in white.
try {
  const theme = localStorage.getItem("minireason.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage: as the system has it.
}
