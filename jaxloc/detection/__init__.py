"""From continuous records to events: picks, their association, magnitudes, and detection by known waveforms."""
