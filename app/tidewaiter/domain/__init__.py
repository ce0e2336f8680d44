"""What Tidewaiter means, without doing anything: values, the state table, schedules. No IO, no clock, no asyncio."""
